import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.hazelcast.map.IMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Writers and readers of keys that all languages share, and what each was told: a history for `histories`.
 *
 * Law: times are of the machine's one monotonic clock, as in each other language; what failed has no return, and what is not
 * offered has no line. Must not know: whether it was right.
 */
final class Race {
    private static final int KEYS = 24;
    /** As many operations a key as can be judged. */
    private static final long PACE = 20;
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();

    private final IMap<Object, Object> map;
    private final ConcurrentLinkedQueue<Map<String, Object>> lines = new ConcurrentLinkedQueue<>();
    private final List<Thread> workers = new ArrayList<>();
    private volatile boolean ending;

    Race(IMap<Object, Object> map, int count, int first) {
        this.map = map;
        for (int worker = 0; worker < count; worker++) {
            int client = first + worker;
            Thread thread = new Thread(() -> run(client));
            thread.setDaemon(true);
            thread.start();
            workers.add(thread);
        }
    }

    private void run(int client) {
        ThreadLocalRandom dice = ThreadLocalRandom.current();
        Map<String, Object> seen = new HashMap<>();
        for (int number = 1; !ending; number++) {
            pause();
            String key = "k" + dice.nextInt(KEYS);
            Map<String, Object> line = wish(seen.get(key), client + "-" + number, dice);
            line.put("client", client);
            line.put("key", key);
            line.put("call", System.nanoTime());
            line.put("return", null);
            try {
                call(line);
                line.put("return", System.nanoTime());
                seen.put(key, Boolean.FALSE.equals(line.get("done")) ? null : line.get("value"));
            } catch (UnsupportedOperationException error) {
                continue;
            } catch (RuntimeException error) {
                line.put("return", null);
            }
            lines.add(line);
        }
    }

    private static void pause() {
        try {
            Thread.sleep(PACE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Map<String, Object> wish(Object old, String value, ThreadLocalRandom dice) {
        Map<String, Object> line = new HashMap<>();
        String op = List.of("get", "put", "cas").get(dice.nextInt(old == null ? 2 : 3));
        line.put("op", op);
        if (!op.equals("get")) {
            line.put("value", value);
        }
        if (op.equals("cas")) {
            line.put("old", old);
        }
        return line;
    }

    private void call(Map<String, Object> line) {
        Object key = line.get("key");
        switch ((String) line.get("op")) {
            case "get" -> line.put("value", map.get(key));
            case "put" -> line.put("before", map.put(key, line.get("value")));
            default -> line.put("done", map.replace(key, line.get("old"), line.get("value")));
        }
    }

    JsonObject stop(String path) throws InterruptedException {
        ending = true;
        for (Thread worker : workers) {
            worker.join();
        }
        try {
            Files.write(Path.of(path), lines.stream().map(GSON::toJson).toList());
        } catch (IOException error) {
            throw new IllegalStateException(path + " cannot be written", error);
        }
        long unknown = lines.stream().filter(line -> line.get("return") == null).count();
        JsonObject seen = new JsonObject();
        seen.addProperty("told", lines.size() - unknown);
        seen.addProperty("unknown", unknown);
        return seen;
    }
}
