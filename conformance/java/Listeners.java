import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.hazelcast.core.EntryEvent;
import com.hazelcast.map.IMap;
import com.hazelcast.map.MapEvent;
import com.hazelcast.map.listener.EntryAddedListener;
import com.hazelcast.map.listener.EntryEvictedListener;
import com.hazelcast.map.listener.EntryExpiredListener;
import com.hazelcast.map.listener.EntryRemovedListener;
import com.hazelcast.map.listener.EntryUpdatedListener;
import com.hazelcast.map.listener.MapClearedListener;
import com.hazelcast.map.listener.MapEvictedListener;
import com.hazelcast.map.listener.MapListener;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** What listeners hear, kept by their label in the order in which it came. */
final class Listeners {
    private static final List<String> KINDS = List.of("added", "removed", "updated", "evicted", "expired", "evictAll", "clearAll");

    private final Queries queries;
    private final Map<String, JsonArray> heard = new HashMap<>();
    private final Map<String, List<UUID>> registrations = new HashMap<>();

    Listeners(Queries queries) {
        this.queries = queries;
    }

    void listen(IMap<Object, Object> map, String label, JsonObject options) {
        JsonArray seen = new JsonArray();
        heard.put(label, seen);
        boolean values = options.get("values").getAsBoolean();
        List<String> kinds = options.has("kinds")
                ? options.getAsJsonArray("kinds").asList().stream().map(JsonElement::getAsString).toList() : KINDS;
        MapListener listener = kinds.equals(KINDS) ? new All(seen) : one(kinds.get(0), seen);
        UUID registration;
        if (options.has("where")) {
            registration = map.addEntryListener(listener, queries.wanted(options.get("where")), values);
        } else if (options.has("key")) {
            registration = map.addEntryListener(listener, Values.read(options.get("key")), values);
        } else {
            registration = map.addEntryListener(listener, values);
        }
        registrations.put(label, new ArrayList<>(List.of(registration)));
    }

    boolean unlisten(IMap<Object, Object> map, String label) {
        return registrations.remove(label).stream().allMatch(map::removeEntryListener);
    }

    JsonArray heard(String label) {
        JsonArray seen = heard.get(label);
        synchronized (seen) {
            return seen.deepCopy();
        }
    }

    private static MapListener one(String kind, JsonArray seen) {
        return switch (kind) {
            case "added" -> (EntryAddedListener<Object, Object>) event -> note(seen, kind, event);
            case "removed" -> (EntryRemovedListener<Object, Object>) event -> note(seen, kind, event);
            case "updated" -> (EntryUpdatedListener<Object, Object>) event -> note(seen, kind, event);
            case "evicted" -> (EntryEvictedListener<Object, Object>) event -> note(seen, kind, event);
            case "expired" -> (EntryExpiredListener<Object, Object>) event -> note(seen, kind, event);
            case "evictAll" -> (MapEvictedListener) event -> noteAll(seen, kind, event);
            case "clearAll" -> (MapClearedListener) event -> noteAll(seen, kind, event);
            default -> throw new Values.Lacks("this client has no event " + kind);
        };
    }

    private static void note(JsonArray seen, String kind, EntryEvent<Object, Object> event) {
        JsonObject told = new JsonObject();
        told.add("type", new JsonPrimitive(kind));
        put(told, "key", event.getKey());
        put(told, "value", event.getValue());
        put(told, "old", event.getOldValue());
        put(told, "merging", event.getMergingValue());
        synchronized (seen) {
            seen.add(told);
        }
    }

    private static void put(JsonObject told, String name, Object value) {
        if (value != null) {
            told.add(name, Values.told(value));
        }
    }

    private static void noteAll(JsonArray seen, String kind, MapEvent event) {
        JsonObject told = new JsonObject();
        told.add("type", new JsonPrimitive(kind));
        told.add("count", new JsonPrimitive(event.getNumberOfEntriesAffected()));
        synchronized (seen) {
            seen.add(told);
        }
    }

    private record All(JsonArray seen) implements EntryAddedListener<Object, Object>, EntryRemovedListener<Object, Object>,
            EntryUpdatedListener<Object, Object>, EntryEvictedListener<Object, Object>, EntryExpiredListener<Object, Object>,
            MapEvictedListener, MapClearedListener {
        @Override
        public void entryAdded(EntryEvent<Object, Object> event) {
            note(seen, "added", event);
        }

        @Override
        public void entryRemoved(EntryEvent<Object, Object> event) {
            note(seen, "removed", event);
        }

        @Override
        public void entryUpdated(EntryEvent<Object, Object> event) {
            note(seen, "updated", event);
        }

        @Override
        public void entryEvicted(EntryEvent<Object, Object> event) {
            note(seen, "evicted", event);
        }

        @Override
        public void entryExpired(EntryEvent<Object, Object> event) {
            note(seen, "expired", event);
        }

        @Override
        public void mapEvicted(MapEvent event) {
            noteAll(seen, "evictAll", event);
        }

        @Override
        public void mapCleared(MapEvent event) {
            noteAll(seen, "clearAll", event);
        }
    }
}
