import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.hazelcast.aggregation.Aggregator;
import com.hazelcast.aggregation.Aggregators;
import com.hazelcast.projection.Projection;
import com.hazelcast.projection.Projections;
import com.hazelcast.query.PagingPredicate;
import com.hazelcast.query.Predicate;
import com.hazelcast.query.Predicates;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;

/** Predicates, aggregators and projections of the checks in this language. Must not know: maps. */
final class Queries {
    /** A paging predicate is used again by its label, so that it goes on where it was. */
    private final Map<String, PagingPredicate<Object, Object>> pages = new HashMap<>();

    Predicate<Object, Object> wanted(JsonElement spec) {
        JsonArray parts = spec.getAsJsonArray();
        String name = parts.get(0).getAsString();
        if (!name.equals("page")) {
            return plain(name, parts.asList().subList(1, parts.size()));
        }
        int size = parts.get(4).getAsInt();
        PagingPredicate<Object, Object> page = pages.computeIfAbsent(parts.get(1).getAsString(),
                label -> Predicates.pagingPredicate(wanted(parts.get(3)), size));
        page.setPage(parts.get(2).getAsInt());
        return page;
    }

    private Predicate<Object, Object> plain(String name, List<JsonElement> rest) {
        return switch (name) {
            case "sql" -> Predicates.sql(rest.get(0).getAsString());
            case "and" -> Predicates.and(rest.stream().map(this::wanted).toArray(Predicate[]::new));
            case "or" -> Predicates.or(rest.stream().map(this::wanted).toArray(Predicate[]::new));
            case "not" -> Predicates.not(wanted(rest.get(0)));
            case "true" -> Predicates.alwaysTrue();
            case "false" -> Predicates.alwaysFalse();
            default -> ofAttribute(name, rest.get(0).getAsString(), rest.subList(1, rest.size()));
        };
    }

    private Predicate<Object, Object> ofAttribute(String name, String attribute, List<JsonElement> rest) {
        return switch (name) {
            case "equal" -> Predicates.equal(attribute, comparable(rest.get(0)));
            case "notEqual" -> Predicates.notEqual(attribute, comparable(rest.get(0)));
            case "greater" -> Predicates.greaterThan(attribute, comparable(rest.get(0)));
            case "greaterEqual" -> Predicates.greaterEqual(attribute, comparable(rest.get(0)));
            case "less" -> Predicates.lessThan(attribute, comparable(rest.get(0)));
            case "lessEqual" -> Predicates.lessEqual(attribute, comparable(rest.get(0)));
            case "between" -> Predicates.between(attribute, comparable(rest.get(0)), comparable(rest.get(1)));
            case "in" -> Predicates.in(attribute, StreamSupport.stream(rest.get(0).getAsJsonArray().spliterator(), false)
                    .map(Queries::comparable).toArray(Comparable[]::new));
            case "like" -> Predicates.like(attribute, rest.get(0).getAsString());
            case "ilike" -> Predicates.ilike(attribute, rest.get(0).getAsString());
            case "regex" -> Predicates.regex(attribute, rest.get(0).getAsString());
            default -> throw new Values.Lacks("this client has no predicate " + name);
        };
    }

    private static Comparable<?> comparable(JsonElement from) {
        return (Comparable<?>) Values.read(from);
    }

    Aggregator<Map.Entry<Object, Object>, ?> aggregation(JsonElement spec) {
        JsonArray parts = spec.getAsJsonArray();
        String attribute = parts.size() > 1 ? parts.get(1).getAsString() : null;
        return switch (parts.get(0).getAsString()) {
            case "count" -> Aggregators.count();
            case "distinct" -> Aggregators.distinct(attribute);
            case "doubleAvg" -> Aggregators.doubleAvg(attribute);
            case "doubleSum" -> Aggregators.doubleSum(attribute);
            case "fixedSum" -> Aggregators.fixedPointSum(attribute);
            case "floatingSum" -> Aggregators.floatingPointSum(attribute);
            case "intAvg" -> Aggregators.integerAvg(attribute);
            case "intSum" -> Aggregators.integerSum(attribute);
            case "longAvg" -> Aggregators.longAvg(attribute);
            case "longSum" -> Aggregators.longSum(attribute);
            case "numberAvg" -> Aggregators.numberAvg(attribute);
            case "max" -> Queries.<Long>largest(attribute);
            case "min" -> Queries.<Long>smallest(attribute);
            default -> throw new Values.Lacks("this client has no aggregator " + spec);
        };
    }

    private static <R extends Comparable<R>> Aggregator<Map.Entry<Object, Object>, R> largest(String attribute) {
        return Aggregators.comparableMax(attribute);
    }

    private static <R extends Comparable<R>> Aggregator<Map.Entry<Object, Object>, R> smallest(String attribute) {
        return Aggregators.comparableMin(attribute);
    }

    Projection<Map.Entry<Object, Object>, ?> projected(JsonElement spec) {
        String[] names = spec.getAsJsonArray().asList().stream().map(JsonElement::getAsString).toArray(String[]::new);
        return names.length == 1 ? Projections.singleAttribute(names[0]) : Projections.multiAttribute(names);
    }
}
