import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.hazelcast.map.IMap;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Writers that keep a ledger while members are killed and cut off: what was acknowledged must be there.
 *
 * Law: each writer owns its keys and counts up, and each put says what was there before: the last acknowledged value, or one
 * of those whose put failed, which may be done at any time. What was acknowledged when the ledger was marked is the least that
 * must be there even where a map may lose its last moments. Must not know: what is done to the members.
 */
final class Load {
    private static final int KEYS_EACH = 20;
    private static final long AFTER_TROUBLE = 50;
    /** As many lines as a person reads. */
    private static final int TOLD_MOST = 20;

    private final IMap<Object, Object> map;
    private final Map<String, Integer> acknowledged = new HashMap<>();
    private final Map<String, Set<Integer>> unknown = new HashMap<>();
    private final JsonArray wrong = new JsonArray();
    private final JsonArray wrongSinceMark = new JsonArray();
    private final List<Thread> writers = new ArrayList<>();
    private Map<String, Integer> marked = Map.of();
    private long puts;
    private long putsAtMark;
    private long failed;
    private String trouble;
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
            try {
                done(key, value, map.put(key, String.valueOf(value)));
            } catch (RuntimeException error) {
                failed(key, value, error);
                pause();
            }
        }
    }

    private synchronized void done(String key, int value, Object before) {
        judge(key, before);
        acknowledged.put(key, value);
        puts++;
    }

    private synchronized void failed(String key, int value, RuntimeException error) {
        unknown.computeIfAbsent(key, each -> new HashSet<>()).add(value);
        failed++;
        trouble = trouble == null ? error.toString() : trouble;
    }

    private synchronized void judge(String key, Object seen) {
        Integer value = seen == null ? null : Integer.valueOf((String) seen);
        Integer sure = acknowledged.get(key);
        if (Objects.equals(value, sure) || unknown.getOrDefault(key, Set.of()).contains(value)) {
            return;
        }
        String words = "%s: %s was acknowledged, %s is there".formatted(key, sure, value);
        if (wrong.size() < TOLD_MOST) {
            wrong.add(words);
        }
        Integer least = marked.get(key);
        if (least != null && (value == null || value < least) && wrongSinceMark.size() < TOLD_MOST) {
            wrongSinceMark.add("%s, %d was marked".formatted(words, least));
        }
    }

    private static void pause() {
        try {
            Thread.sleep(AFTER_TROUBLE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    synchronized void mark() {
        marked = new HashMap<>(acknowledged);
        putsAtMark = puts;
    }

    synchronized long puts() {
        return puts;
    }

    synchronized long putsSinceMark() {
        return puts - putsAtMark;
    }

    JsonObject stop() throws InterruptedException {
        ending = true;
        for (Thread writer : writers) {
            writer.join();
        }
        JsonObject seen = new JsonObject();
        seen.add("acknowledged", new JsonPrimitive(puts));
        seen.add("unknown", new JsonPrimitive(failed));
        seen.add("trouble", trouble == null ? JsonNull.INSTANCE : new JsonPrimitive(trouble));
        return seen;
    }

    JsonArray lost() {
        for (String key : List.copyOf(acknowledged.keySet())) {
            judge(key, map.get(key));
        }
        return wrong;
    }

    JsonArray lostSinceMark() {
        lost();
        return wrongSinceMark;
    }
}
