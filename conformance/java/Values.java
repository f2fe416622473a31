import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.hazelcast.core.HazelcastJsonValue;
import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;

/**
 * Values of the checks, as this language has them.
 *
 * Law: what a check writes as {"int": 7} goes over the wire as exactly that type, or Lacks says that this client cannot; what
 * comes back is told with its type. Must not know: maps.
 */
final class Values {
    private static final String LETTERS = "abcdefghijklmnopqrstuvwxyz";
    /** Longer texts are told by their length. */
    private static final int LONG_TEXT = 1000;

    static final class Lacks extends RuntimeException {
        Lacks(String what) {
            super(what);
        }
    }

    private static final Map<String, Function<JsonElement, Object>> MAKERS = Map.ofEntries(
            Map.entry("byte", JsonElement::getAsByte),
            Map.entry("short", JsonElement::getAsShort),
            Map.entry("int", JsonElement::getAsInt),
            Map.entry("long", JsonElement::getAsLong),
            Map.entry("float", JsonElement::getAsFloat),
            Map.entry("double", JsonElement::getAsDouble),
            Map.entry("char", e -> e.getAsString().charAt(0)),
            Map.entry("bigint", e -> new BigInteger(e.getAsString())),
            Map.entry("decimal", e -> new BigDecimal(e.getAsString())),
            Map.entry("uuid", e -> UUID.fromString(e.getAsString())),
            Map.entry("json", e -> new HazelcastJsonValue(e.getAsString())),
            Map.entry("bytes", e -> HexFormat.of().parseHex(e.getAsString())),
            Map.entry("date", e -> LocalDate.parse(e.getAsString())),
            Map.entry("time", e -> LocalTime.parse(e.getAsString())),
            Map.entry("datetime", e -> LocalDateTime.parse(e.getAsString())),
            Map.entry("offset", e -> OffsetDateTime.parse(e.getAsString())),
            Map.entry("chars", e -> e.getAsString().toCharArray()),
            Map.entry("bools", e -> array(e, boolean.class, JsonElement::getAsBoolean)),
            Map.entry("shorts", e -> array(e, short.class, JsonElement::getAsShort)),
            Map.entry("ints", e -> array(e, int.class, JsonElement::getAsInt)),
            Map.entry("longs", e -> array(e, long.class, JsonElement::getAsLong)),
            Map.entry("floats", e -> array(e, float.class, JsonElement::getAsFloat)),
            Map.entry("doubles", e -> array(e, double.class, JsonElement::getAsDouble)),
            Map.entry("strings", e -> array(e, String.class, JsonElement::getAsString)),
            Map.entry("list", e -> new ArrayList<>(all(e))),
            Map.entry("person", e -> new Person(e.getAsJsonObject().get("name").getAsString(),
                    e.getAsJsonObject().get("age").getAsInt())),
            Map.entry("big", e -> big(e.getAsInt())));

    private Values() {
    }

    private static Object array(JsonElement from, Class<?> of, Function<JsonElement, Object> one) {
        JsonArray items = from.getAsJsonArray();
        Object array = Array.newInstance(of, items.size());
        for (int i = 0; i < items.size(); i++) {
            Array.set(array, i, one.apply(items.get(i)));
        }
        return array;
    }

    static String big(int length) {
        return LETTERS.repeat(length / LETTERS.length() + 1).substring(0, length);
    }

    static List<Object> all(JsonElement from) {
        List<Object> list = new ArrayList<>();
        from.getAsJsonArray().forEach(item -> list.add(read(item)));
        return list;
    }

    static Object read(JsonElement from) {
        if (from.isJsonNull()) {
            return null;
        }
        if (from.isJsonPrimitive()) {
            return from.getAsJsonPrimitive().isBoolean() ? (Object) from.getAsBoolean() : from.getAsString();
        }
        Map.Entry<String, JsonElement> tagged = from.getAsJsonObject().entrySet().iterator().next();
        Function<JsonElement, Object> maker = MAKERS.get(tagged.getKey());
        if (maker == null) {
            throw new Lacks("this client writes no " + tagged.getKey());
        }
        return maker.apply(tagged.getValue());
    }

    static JsonObject tagged(String tag, Object value) {
        JsonObject object = new JsonObject();
        object.add(tag, value instanceof JsonElement element ? element : new JsonPrimitive(String.valueOf(value)));
        return object;
    }

    static JsonObject number(long value) {
        return tagged("number", value);
    }

    static JsonElement told(Object value) {
        if (value == null) {
            return JsonNull.INSTANCE;
        }
        if (value instanceof Boolean bool) {
            return new JsonPrimitive(bool);
        }
        if (value instanceof String text) {
            if (text.length() <= LONG_TEXT) {
                return new JsonPrimitive(text);
            }
            return tagged(text.equals(big(text.length())) ? "big" : "spoiled", new JsonPrimitive(text.length()));
        }
        if (value instanceof Person person) {
            JsonObject fields = tagged("name", person.name());
            fields.add("age", new JsonPrimitive(person.age()));
            return tagged("person", fields);
        }
        if (value instanceof byte[] bytes) {
            return tagged("bytes", HexFormat.of().formatHex(bytes));
        }
        if (value instanceof char[] chars) {
            return tagged("chars", new String(chars));
        }
        if (value.getClass().isArray()) {
            return toldArray(value);
        }
        if (value instanceof Collection<?> items) {
            return tagged("list", toldAll(items));
        }
        return tagged(tagOf(value), value);
    }

    private static String tagOf(Object value) {
        Map<Class<?>, String> tags = Map.ofEntries(
                Map.entry(Byte.class, "byte"), Map.entry(Short.class, "short"), Map.entry(Integer.class, "int"),
                Map.entry(Long.class, "long"), Map.entry(Float.class, "float"), Map.entry(Double.class, "double"),
                Map.entry(Character.class, "char"), Map.entry(BigInteger.class, "bigint"), Map.entry(BigDecimal.class, "decimal"),
                Map.entry(UUID.class, "uuid"), Map.entry(HazelcastJsonValue.class, "json"), Map.entry(LocalDate.class, "date"),
                Map.entry(LocalTime.class, "time"), Map.entry(LocalDateTime.class, "datetime"),
                Map.entry(OffsetDateTime.class, "offset"));
        return tags.getOrDefault(value.getClass(), "unknown " + value.getClass().getName());
    }

    private static JsonElement toldArray(Object array) {
        Map<Class<?>, String> tags = Map.of(boolean[].class, "bools", short[].class, "shorts", int[].class, "ints", long[].class,
                "longs", float[].class, "floats", double[].class, "doubles", String[].class, "strings");
        JsonArray items = new JsonArray();
        for (int i = 0; i < Array.getLength(array); i++) {
            Object item = Array.get(array, i);
            items.add(item instanceof Number number ? new JsonPrimitive(number) : told(item));
        }
        return tagged(tags.getOrDefault(array.getClass(), "list"), items);
    }

    static JsonArray toldAll(Collection<?> values) {
        JsonArray items = new JsonArray();
        values.forEach(value -> items.add(told(value)));
        return items;
    }

    static JsonArray pairs(Collection<? extends Map.Entry<?, ?>> entries) {
        JsonArray items = new JsonArray();
        for (Map.Entry<?, ?> entry : entries) {
            JsonArray pair = new JsonArray();
            pair.add(told(entry.getKey()));
            pair.add(told(entry.getValue()));
            items.add(pair);
        }
        return items;
    }
}
