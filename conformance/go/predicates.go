package main

// Predicates and aggregators of the checks in this language. Must not know: maps.

import (
	"github.com/hazelcast/hazelcast-go-client/aggregate"
	"github.com/hazelcast/hazelcast-go-client/predicate"
)

// wanted makes a predicate of ["and", ["sql", "age > 3"], ["equal", "name", "x"]].
func wanted(spec any) predicate.Predicate {
	parts := spec.([]any)
	rest := parts[1:]
	switch name := parts[0].(string); name {
	case "sql":
		return predicate.SQL(rest[0].(string))
	case "and":
		return predicate.And(each(any(rest), wanted)...)
	case "or":
		return predicate.Or(each(any(rest), wanted)...)
	case "not":
		return predicate.Not(wanted(rest[0]))
	case "true":
		return predicate.True()
	case "false":
		return predicate.False()
	case "page":
		panic(Lack("this client has no pages"))
	default:
		return ofAttribute(name, rest[0].(string), rest[1:])
	}
}

func ofAttribute(name, attribute string, rest []any) predicate.Predicate {
	switch name {
	case "equal":
		return predicate.Equal(attribute, read(rest[0]))
	case "notEqual":
		return predicate.NotEqual(attribute, read(rest[0]))
	case "greater":
		return predicate.Greater(attribute, read(rest[0]))
	case "greaterEqual":
		return predicate.GreaterOrEqual(attribute, read(rest[0]))
	case "less":
		return predicate.Less(attribute, read(rest[0]))
	case "lessEqual":
		return predicate.LessOrEqual(attribute, read(rest[0]))
	case "between":
		return predicate.Between(attribute, read(rest[0]), read(rest[1]))
	case "in":
		return predicate.In(attribute, each(rest[0], read)...)
	case "like":
		return predicate.Like(attribute, rest[0].(string))
	case "ilike":
		return predicate.ILike(attribute, rest[0].(string))
	case "regex":
		return predicate.Regex(attribute, rest[0].(string))
	}
	panic(Lack("this client has no predicate " + name))
}

func aggregation(spec any) aggregate.Aggregator {
	parts := spec.([]any)
	name, attribute := parts[0].(string), ""
	if len(parts) > 1 {
		attribute = parts[1].(string)
	}
	switch name {
	case "count":
		return aggregate.CountAll()
	case "distinct":
		return aggregate.DistinctValues(attribute)
	case "doubleAvg":
		return aggregate.DoubleAverage(attribute)
	case "doubleSum":
		return aggregate.DoubleSum(attribute)
	case "intAvg":
		return aggregate.IntAverage(attribute)
	case "intSum":
		return aggregate.IntSum(attribute)
	case "longAvg":
		return aggregate.LongAverage(attribute)
	case "longSum":
		return aggregate.LongSum(attribute)
	case "max":
		return aggregate.Max(attribute)
	case "min":
		return aggregate.Min(attribute)
	}
	panic(Lack("this client has no aggregator " + name))
}
