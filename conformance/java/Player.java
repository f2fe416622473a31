import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.hazelcast.client.HazelcastClient;
import com.hazelcast.client.config.ClientConfig;
import com.hazelcast.client.config.RoutingMode;
import com.hazelcast.client.impl.clientside.HazelcastClientProxy;
import com.hazelcast.config.ListenerConfig;
import com.hazelcast.config.NearCacheConfig;
import com.hazelcast.core.DistributedObject;
import com.hazelcast.core.DistributedObjectEvent;
import com.hazelcast.core.DistributedObjectListener;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.core.LifecycleListener;
import com.hazelcast.sql.SqlResult;
import com.hazelcast.sql.SqlRow;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Plays steps of the checks with the official Java client: one step a line comes in, what was seen goes out.
 *
 * Law: it judges nothing. Must not know: what is expected. Usage: Player ADDRESSES CLUSTER
 */
public final class Player {
    /** Longer than a full stop and return, shorter than the runner's patience. */
    private static final long CALL_WITHIN = 60_000;
    /** The client `one` knows the first member alone, and does not wait long for it. */
    private static final long OF_ONE_WITHIN = 10_000;
    /** A cluster that does not take us is not asked for longer. */
    private static final long REFUSED_WITHIN = 3_000;

    private final List<String> addresses;
    private final String cluster;
    private final Map<String, HazelcastInstance> clients = new HashMap<>();
    private final Map<String, List<String>> states = new HashMap<>();
    private final Map<String, List<JsonObject>> objectEvents = new HashMap<>();
    private final Map<String, UUID> registrations = new HashMap<>();
    private final Maps maps = new Maps();

    private Player(List<String> addresses, String cluster) {
        this.addresses = addresses;
        this.cluster = cluster;
    }

    private HazelcastInstance connect(String by, String name, long within) {
        ClientConfig config = new ClientConfig().setClusterName(name);
        boolean ofOne = by.equals("one");
        addresses.stream().limit(ofOne ? 1 : addresses.size()).forEach(config.getNetworkConfig()::addAddress);
        config.getConnectionStrategyConfig().getConnectionRetryConfig().setClusterConnectTimeoutMillis(within)
                .setInitialBackoffMillis(100).setMaxBackoffMillis(500);
        config.setProperty("hazelcast.client.invocation.timeout.seconds", String.valueOf((ofOne ? OF_ONE_WITHIN : CALL_WITHIN) / 1000));
        // Else the clients acknowledge what a backup has not confirmed in time.
        config.setProperty("hazelcast.client.operation.fail.on.indeterminate.state", "true");
        config.setProperty("hazelcast.invalidation.min.reconciliation.interval.seconds", "30");
        if (ofOne || by.equals("uni")) {
            config.getNetworkConfig().getClusterRoutingConfig().setRoutingMode(RoutingMode.SINGLE_MEMBER);
        }
        config.getSerializationConfig().getCompactSerializationConfig().addSerializer(new Person.Serializer());
        if (by.equals("near")) {
            config.addNearCacheConfig(new NearCacheConfig("near-*"));
        }
        List<String> seen = states.computeIfAbsent(by, each -> new CopyOnWriteArrayList<>());
        LifecycleListener note = event -> seen.add(event.getState().name().toLowerCase().replace("client_", ""));
        config.addListenerConfig(new ListenerConfig(note));
        return HazelcastClient.newHazelcastClient(config);
    }

    private HazelcastInstance client(String by) {
        return clients.computeIfAbsent(by, each -> connect(each, cluster, CALL_WITHIN));
    }

    private JsonElement play(JsonObject step) throws InterruptedException {
        String by = step.get("by").getAsString();
        List<JsonElement> all = step.getAsJsonArray("do").asList();
        String op = all.get(0).getAsString();
        List<JsonElement> given = all.subList(1, all.size());
        JsonElement seen = ofClient(by, op, given);
        return seen != null ? seen : maps.play(client(by), by, step.get("map").getAsString(), op, given);
    }

    private JsonElement ofClient(String by, String op, List<JsonElement> given) {
        return switch (op) {
            case "connect" -> {
                JsonObject options = given.get(0).getAsJsonObject();
                String name = options.has("cluster") ? options.get("cluster").getAsString() : cluster;
                connect("asked", name, REFUSED_WITHIN).shutdown();
                yield new JsonPrimitive("connected");
            }
            case "disconnect" -> {
                HazelcastInstance client = clients.remove(by);
                if (client != null) {
                    client.shutdown();
                }
                yield JsonNull.INSTANCE;
            }
            case "members" -> members(by);
            case "partitions" -> Values.number(((HazelcastClientProxy) client(by)).client.getClientPartitionService().getPartitionCount());
            case "objects" -> objects(by, given.get(0).getAsString());
            case "listenObjects" -> listenObjects(by, given.get(0).getAsString());
            case "unlistenObjects" -> new JsonPrimitive(
                    client(by).removeDistributedObjectListener(registrations.get(given.get(0).getAsString())));
            case "objectEvents" -> objectEvents(given.get(0).getAsString(), given.get(1).getAsString());
            case "states" -> {
                client(by);
                yield Values.toldAll(states.get(by));
            }
            case "sql" -> sql(by, given);
            default -> null;
        };
    }

    private JsonElement members(String by) {
        JsonArray seen = new JsonArray();
        client(by).getCluster().getMembers().stream()
                .sorted(Comparator.comparing(member -> member.getAddress().getPort()))
                .forEach(member -> {
                    JsonObject told = new JsonObject();
                    told.add("address", new JsonPrimitive(member.getAddress().getHost() + ":" + member.getAddress().getPort()));
                    told.add("uuid", new JsonPrimitive(member.getUuid().toString()));
                    told.add("lite", new JsonPrimitive(member.isLiteMember()));
                    seen.add(told);
                });
        return seen;
    }

    private JsonElement objects(String by, String prefix) {
        JsonArray names = new JsonArray();
        client(by).getDistributedObjects().stream().map(DistributedObject::getName)
                .filter(name -> name.startsWith(prefix)).forEach(names::add);
        return names;
    }

    private JsonElement listenObjects(String by, String label) {
        List<JsonObject> seen = new CopyOnWriteArrayList<>();
        objectEvents.put(label, seen);
        registrations.put(label, client(by).addDistributedObjectListener(new DistributedObjectListener() {
            @Override
            public void distributedObjectCreated(DistributedObjectEvent event) {
                note(event);
            }

            @Override
            public void distributedObjectDestroyed(DistributedObjectEvent event) {
                note(event);
            }

            private void note(DistributedObjectEvent event) {
                JsonObject told = new JsonObject();
                told.add("type", new JsonPrimitive(event.getEventType().name().toLowerCase()));
                told.add("name", new JsonPrimitive((String) event.getObjectName()));
                told.add("service", new JsonPrimitive(event.getServiceName()));
                seen.add(told);
            }
        }));
        return JsonNull.INSTANCE;
    }

    private JsonElement objectEvents(String label, String prefix) {
        JsonArray some = new JsonArray();
        objectEvents.get(label).stream().filter(event -> event.get("name").getAsString().startsWith(prefix)).forEach(some::add);
        return some;
    }

    /** Update counts, which the other clients tell too, are to be removed from this one. */
    @SuppressWarnings("removal")
    private JsonElement sql(String by, List<JsonElement> given) {
        Object[] parameters = given.stream().skip(1).map(Values::read).toArray();
        JsonObject seen = new JsonObject();
        try (SqlResult result = client(by).getSql().execute(given.get(0).getAsString(), parameters)) {
            if (!result.isRowSet()) {
                seen.add("updated", Values.number(result.updateCount()));
                return seen;
            }
            JsonArray columns = new JsonArray();
            result.getRowMetadata().getColumns().forEach(column -> columns.add(column.getName()));
            JsonArray rows = new JsonArray();
            for (SqlRow row : result) {
                List<Object> cells = new ArrayList<>();
                for (int i = 0; i < columns.size(); i++) {
                    cells.add(row.getObject(i));
                }
                rows.add(Values.toldAll(cells));
            }
            seen.add("columns", columns);
            seen.add("rows", rows);
        }
        return seen;
    }

    private JsonObject answer(String line) {
        JsonObject answer = new JsonObject();
        try {
            answer.add("is", play(JsonParser.parseString(line).getAsJsonObject()));
        } catch (Values.Lacks lack) {
            answer.addProperty("lacks", lack.getMessage());
        } catch (Exception | LinkageError error) {
            error.printStackTrace();
            answer.addProperty("error", error.getClass().getName());
            answer.addProperty("says", String.valueOf(error.getMessage()));
        }
        return answer;
    }

    public static void main(String[] arguments) throws Exception {
        Gson gson = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Player player = new Player(List.of(arguments[0].split(",")), arguments[1]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(gson.toJson(player.answer(line)));
        }
        player.clients.values().forEach(HazelcastInstance::shutdown);
        System.exit(0);
    }
}
