import static java.util.concurrent.TimeUnit.MILLISECONDS;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.hazelcast.config.IndexConfig;
import com.hazelcast.config.IndexType;
import com.hazelcast.core.EntryView;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.map.IMap;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The calls of a map. Law: each is one call of the client's public interface. Must not know: what is expected. */
final class Maps {
    /** Calls that take a time to live and an idle time. */
    private static final Set<String> LIVING = Set.of("put", "set", "putIfAbsent", "putTransient");

    private final Queries queries = new Queries();
    private final Listeners listeners = new Listeners(queries);
    private final Map<String, Load> loads = new HashMap<>();
    private final Map<String, Race> races = new HashMap<>();

    /** What the check gives to one call. */
    private record Given(List<JsonElement> all) {
        boolean has(int i) {
            return all.size() > i;
        }

        Object at(int i) {
            return Values.read(all.get(i));
        }

        long whole(int i) {
            return all.get(i).getAsLong();
        }

        String text(int i) {
            return all.get(i).getAsString();
        }

        /** Milliseconds of `ttl` or `maxIdle`; 0 where none is given, as this client means it. */
        long lives(int i, String name) {
            JsonObject options = has(i) ? all.get(i).getAsJsonObject() : new JsonObject();
            return options.has(name) ? options.get(name).getAsLong() : 0;
        }
    }

    JsonElement play(HazelcastInstance client, String by, String name, String op, List<JsonElement> arguments)
            throws InterruptedException {
        Given given = new Given(arguments);
        IMap<Object, Object> map = client.getMap(name);
        JsonElement seen = write(map, op, given);
        seen = seen == null ? read(map, op, given) : seen;
        seen = seen == null ? lock(map, op, given) : seen;
        seen = seen == null ? other(map, op, given) : seen;
        seen = seen == null ? race(client, by, map, op, given) : seen;
        if (seen == null) {
            throw new Values.Lacks("this player has no " + op);
        }
        return seen;
    }

    private static JsonElement bool(boolean value) {
        return new JsonPrimitive(value);
    }

    private static JsonElement nothing(Runnable action) {
        action.run();
        return JsonNull.INSTANCE;
    }

    private JsonElement write(IMap<Object, Object> map, String op, Given g) {
        long ttl = LIVING.contains(op) ? g.lives(2, "ttl") : 0;
        long idle = LIVING.contains(op) ? g.lives(2, "maxIdle") : 0;
        return switch (op) {
            case "put" -> Values.told(ttl + idle == 0 ? map.put(g.at(0), g.at(1)) : idle == 0
                    ? map.put(g.at(0), g.at(1), ttl, MILLISECONDS) : map.put(g.at(0), g.at(1), ttl, MILLISECONDS, idle, MILLISECONDS));
            case "set" -> nothing(() -> {
                if (ttl + idle == 0) {
                    map.set(g.at(0), g.at(1));
                } else if (idle == 0) {
                    map.set(g.at(0), g.at(1), ttl, MILLISECONDS);
                } else {
                    map.set(g.at(0), g.at(1), ttl, MILLISECONDS, idle, MILLISECONDS);
                }
            });
            case "putIfAbsent" -> Values.told(ttl + idle == 0 ? map.putIfAbsent(g.at(0), g.at(1)) : idle == 0
                    ? map.putIfAbsent(g.at(0), g.at(1), ttl, MILLISECONDS)
                    : map.putIfAbsent(g.at(0), g.at(1), ttl, MILLISECONDS, idle, MILLISECONDS));
            case "putTransient" -> nothing(() -> {
                if (idle == 0) {
                    map.putTransient(g.at(0), g.at(1), ttl, MILLISECONDS);
                } else {
                    map.putTransient(g.at(0), g.at(1), ttl, MILLISECONDS, idle, MILLISECONDS);
                }
            });
            case "tryPut" -> bool(map.tryPut(g.at(0), g.at(1), g.whole(2), MILLISECONDS));
            case "tryRemove" -> bool(map.tryRemove(g.at(0), g.whole(1), MILLISECONDS));
            case "remove" -> Values.told(map.remove(g.at(0)));
            case "removeIfSame" -> bool(map.remove(g.at(0), g.at(1)));
            case "delete" -> nothing(() -> map.delete(g.at(0)));
            case "replace" -> Values.told(map.replace(g.at(0), g.at(1)));
            case "replaceIfSame" -> bool(map.replace(g.at(0), g.at(1), g.at(2)));
            case "putAll" -> nothing(() -> map.putAll(entries(g.all().get(0))));
            case "fill" -> nothing(() -> map.putAll(numbered((int) g.whole(0), (int) g.whole(1))));
            case "clear" -> nothing(map::clear);
            case "removeAll" -> nothing(() -> map.removeAll(queries.wanted(g.all().get(0))));
            case "setTtl" -> bool(map.setTtl(g.at(0), g.whole(1), MILLISECONDS));
            case "evict" -> bool(map.evict(g.at(0)));
            case "evictAll" -> nothing(map::evictAll);
            case "flush" -> nothing(map::flush);
            case "loadAll" -> nothing(() -> map.loadAll(true));
            case "destroy" -> nothing(map::destroy);
            default -> null;
        };
    }

    private static Map<Object, Object> entries(JsonElement pairs) {
        Map<Object, Object> entries = new HashMap<>();
        for (JsonElement pair : pairs.getAsJsonArray()) {
            entries.put(Values.read(pair.getAsJsonArray().get(0)), Values.read(pair.getAsJsonArray().get(1)));
        }
        return entries;
    }

    private static Map<Object, Object> numbered(int count, int size) {
        Map<Object, Object> entries = new HashMap<>();
        for (int n = 0; n < count; n++) {
            String text = "v" + n;
            entries.put("k" + n, text + ".".repeat(Math.max(0, size - text.length())));
        }
        return entries;
    }

    private JsonElement read(IMap<Object, Object> map, String op, Given g) {
        return switch (op) {
            case "get" -> Values.told(map.get(g.at(0)));
            case "getAll" -> Values.pairs(map.getAll(new HashSet<>(Values.all(g.all().get(0)))).entrySet());
            case "containsKey" -> bool(map.containsKey(g.at(0)));
            case "containsValue" -> bool(map.containsValue(g.at(0)));
            case "size" -> Values.number(map.size());
            case "isEmpty" -> bool(map.isEmpty());
            case "keySet" -> Values.toldAll(g.has(0) ? map.keySet(queries.wanted(g.all().get(0))) : map.keySet());
            case "values" -> Values.toldAll(g.has(0) ? map.values(queries.wanted(g.all().get(0))) : map.values());
            case "entrySet" -> Values.pairs(g.has(0) ? map.entrySet(queries.wanted(g.all().get(0))) : map.entrySet());
            case "iterate" -> {
                List<Map.Entry<Object, Object>> met = new ArrayList<>();
                map.iterator().forEachRemaining(met::add);
                yield Values.pairs(met);
            }
            case "view" -> view(map.getEntryView(g.at(0)));
            case "aggregate" -> aggregate(map, g);
            case "project" -> Values.toldAll(g.has(1)
                    ? map.project(queries.projected(g.all().get(0)), queries.wanted(g.all().get(1)))
                    : map.project(queries.projected(g.all().get(0))));
            case "nearHits" -> Values.number(map.getLocalMapStats().getNearCacheStats().getHits());
            default -> null;
        };
    }

    private JsonElement aggregate(IMap<Object, Object> map, Given g) {
        Object seen = g.has(1) ? map.aggregate(queries.aggregation(g.all().get(0)), queries.wanted(g.all().get(1)))
                : map.aggregate(queries.aggregation(g.all().get(0)));
        return Values.told(seen);
    }

    private static JsonElement view(EntryView<Object, Object> view) {
        if (view == null) {
            return JsonNull.INSTANCE;
        }
        JsonObject seen = new JsonObject();
        seen.add("key", Values.told(view.getKey()));
        seen.add("value", Values.told(view.getValue()));
        seen.add("creation", Values.number(view.getCreationTime()));
        seen.add("expiration", Values.number(view.getExpirationTime()));
        seen.add("hits", Values.number(view.getHits()));
        seen.add("accessed", Values.number(view.getLastAccessTime()));
        seen.add("stored", Values.number(view.getLastStoredTime()));
        seen.add("updated", Values.number(view.getLastUpdateTime()));
        seen.add("version", Values.number(view.getVersion()));
        seen.add("ttl", Values.number(view.getTtl()));
        seen.add("maxIdle", Values.number(view.getMaxIdle()));
        return seen;
    }

    private JsonElement lock(IMap<Object, Object> map, String op, Given g) throws InterruptedException {
        return switch (op) {
            case "lock" -> nothing(() -> {
                if (g.has(1)) {
                    map.lock(g.at(0), g.whole(1), MILLISECONDS);
                } else {
                    map.lock(g.at(0));
                }
            });
            case "tryLock" -> bool(g.has(2) ? map.tryLock(g.at(0), g.whole(1), MILLISECONDS, g.whole(2), MILLISECONDS)
                    : g.has(1) ? map.tryLock(g.at(0), g.whole(1), MILLISECONDS) : map.tryLock(g.at(0)));
            case "isLocked" -> bool(map.isLocked(g.at(0)));
            case "unlock" -> nothing(() -> map.unlock(g.at(0)));
            case "forceUnlock" -> nothing(() -> map.forceUnlock(g.at(0)));
            default -> null;
        };
    }

    private JsonElement other(IMap<Object, Object> map, String op, Given g) throws InterruptedException {
        return switch (op) {
            case "listen" -> nothing(() -> listeners.listen(map, g.text(0), g.all().get(1).getAsJsonObject()));
            case "unlisten" -> bool(listeners.unlisten(map, g.text(0)));
            case "events" -> listeners.heard(g.text(0));
            case "addIndex" -> nothing(() -> {
                IndexConfig index = new IndexConfig(IndexType.valueOf(g.text(0).toUpperCase()), g.text(1));
                map.addIndex(index.setName(g.text(0) + "-" + g.text(1)));
            });
            case "loadStart" -> nothing(() -> loads.put(map.getName(), new Load(map, (int) g.whole(0))));
            case "loadPuts" -> Values.number(loads.get(map.getName()).puts());
            case "loadStop" -> loads.get(map.getName()).stop();
            case "loadPutsSinceMark" -> Values.number(loads.get(map.getName()).putsSinceMark());
            case "loadMark" -> nothing(() -> loads.get(map.getName()).mark());
            case "loadLost" -> loads.get(map.getName()).lost();
            case "loadLostSinceMark" -> loads.get(map.getName()).lostSinceMark();
            default -> null;
        };
    }

    private JsonElement race(HazelcastInstance client, String by, IMap<Object, Object> map, String op, Given g)
            throws InterruptedException {
        return switch (op) {
            case "raceStart" -> nothing(() -> races.put(map.getName() + " " + by,
                    new Race(client.getMap(g.text(0)), (int) g.whole(1), 4000 + 10 * races.size())));
            case "raceStop" -> races.get(map.getName() + " " + by).stop(g.text(0) + "/java-" + by + ".jsonl");
            default -> null;
        };
    }
}
