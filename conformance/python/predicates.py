"""Predicates, aggregators and projections of the checks in this language. Must not know: maps."""
from hazelcast import aggregator, predicate, projection
from values import Lacks, read

PAIRS = {
    "equal": predicate.equal, "notEqual": predicate.not_equal, "greater": predicate.greater,
    "greaterEqual": predicate.greater_or_equal, "less": predicate.less, "lessEqual": predicate.less_or_equal,
    "like": predicate.like, "ilike": predicate.ilike, "regex": predicate.regex,
}  # fmt: skip

AGGREGATORS = {
    "count": aggregator.count, "distinct": aggregator.distinct, "doubleAvg": aggregator.double_avg,
    "doubleSum": aggregator.double_sum, "fixedSum": aggregator.fixed_point_sum, "floatingSum": aggregator.floating_point_sum,
    "intAvg": aggregator.int_avg, "intSum": aggregator.int_sum, "longAvg": aggregator.long_avg, "longSum": aggregator.long_sum,
    "max": aggregator.max_, "min": aggregator.min_, "numberAvg": aggregator.number_avg,
}  # fmt: skip


def wanted(spec):
    """`["and", ["sql", "age > 3"], ["equal", "name", "x"]]` as a predicate."""
    name, *rest = spec
    if name == "sql":
        return predicate.sql(rest[0])
    if name in PAIRS:
        attribute, value = rest
        return PAIRS[name](attribute, value if name in ("like", "ilike", "regex") else read(value))
    if name == "between":
        return predicate.between(rest[0], read(rest[1]), read(rest[2]))
    if name == "in":
        return predicate.in_(rest[0], *[read(value) for value in rest[1]])
    if name == "and":
        return predicate.and_(*[wanted(each) for each in rest])
    if name == "or":
        return predicate.or_(*[wanted(each) for each in rest])
    if name == "not":
        return predicate.not_(wanted(rest[0]))
    if name == "true":
        return predicate.true()
    if name == "false":
        return predicate.false()
    if name == "paging":
        return predicate.paging(wanted(rest[0]), rest[1])
    raise Lacks(f"this client has no predicate {name}")


def aggregation(name, attribute=None):
    if name not in AGGREGATORS:
        raise Lacks(f"this client has no aggregator {name}")
    return AGGREGATORS[name](attribute)


def projected(*attributes):
    if len(attributes) == 1:
        return projection.single_attribute(attributes[0])
    return projection.multi_attribute(*attributes)
