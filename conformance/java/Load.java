import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.hazelcast.map.IMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Writers that keep a ledger while members are killed: what was acknowledged must be readable afterwards.
 *
 * Law: each writer owns its keys and counts up; what was read must lie between the last acknowledged and the last tried. A put
 * that failed is unknown: it may be there. Must not know: what is done to the members.
 */
final class Load {
    private static final int KEYS_EACH = 20;
    private static final long AFTER_TROUBLE = 50;

    private final IMap<Object, Object> map;
    private final Map<String, Integer> tried = new ConcurrentHashMap<>();
    private final Map<String, Integer> acknowledged = new ConcurrentHashMap<>();
    private final AtomicLong puts = new AtomicLong();
    private final AtomicLong unknown = new AtomicLong();
    private final AtomicReference<String> trouble = new AtomicReference<>();
    private final List<Thread> writers = new ArrayList<>();
    private volatile boolean ending;

    Load(IMap<Object, Object> map, int count) {
        this.map = map;
        for (int writer = 0; writer < count; writer++) {
            int number = writer;
            Thread thread = new Thread(() -> write(number));
            thread.setDaemon(true);
            thread.start();
            writers.add(thread);
        }
    }

    private void write(int writer) {
        for (int value = 1; !ending; value++) {
            String key = "w" + writer + "-" + value % KEYS_EACH;
            tried.put(key, value);
            try {
                map.set(key, String.valueOf(value));
                acknowledged.put(key, value);
                puts.incrementAndGet();
            } catch (RuntimeException error) {
                unknown.incrementAndGet();
                trouble.compareAndSet(null, error.toString());
                pause();
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(AFTER_TROUBLE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    long puts() {
        return puts.get();
    }

    JsonObject stop() throws InterruptedException {
        ending = true;
        for (Thread writer : writers) {
            writer.join();
        }
        JsonObject seen = new JsonObject();
        seen.add("acknowledged", new JsonPrimitive(puts.get()));
        seen.add("unknown", new JsonPrimitive(unknown.get()));
        seen.add("trouble", trouble.get() == null ? JsonNull.INSTANCE : new JsonPrimitive(trouble.get()));
        return seen;
    }

    JsonArray lost() {
        JsonArray wrong = new JsonArray();
        acknowledged.forEach((key, least) -> {
            Object value = map.get(key);
            int found = value == null ? -1 : Integer.parseInt((String) value);
            if (found < least || found > tried.get(key)) {
                wrong.add("%s: %d was acknowledged, %d tried, %s is there".formatted(key, least, tried.get(key), value));
            }
        });
        return wrong;
    }
}
