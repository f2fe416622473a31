// Predicates and aggregators of the checks in this language. Must not know: maps.
'use strict';

const { Aggregators, Predicates } = require('hazelcast-client');
const { Lacks, read } = require('./values');

const OF_VALUE = { equal: 'equal', notEqual: 'notEqual', greater: 'greaterThan', greaterEqual: 'greaterEqual', less: 'lessThan', lessEqual: 'lessEqual' };
const OF_TEXT = { like: 'like', ilike: 'ilike', regex: 'regex' };
const AGGREGATORS = {
    count: 'count', distinct: 'distinct', doubleAvg: 'doubleAvg', doubleSum: 'doubleSum', fixedSum: 'fixedPointSum',
    floatingSum: 'floatingPointSum', intAvg: 'integerAvg', intSum: 'integerSum', longAvg: 'longAvg', longSum: 'longSum',
    max: 'max', min: 'min', numberAvg: 'numberAvg',
};

// ["and", ["sql", "age > 3"], ["equal", "name", "x"]] as a predicate.
function wanted([name, ...rest]) {
    if (OF_VALUE[name]) {
        return Predicates[OF_VALUE[name]](rest[0], read(rest[1]));
    }
    if (OF_TEXT[name]) {
        return Predicates[OF_TEXT[name]](...rest);
    }
    switch (name) {
        case 'sql': return Predicates.sql(rest[0]);
        case 'between': return Predicates.between(rest[0], read(rest[1]), read(rest[2]));
        case 'in': return Predicates.inPredicate(rest[0], ...rest[1].map(read));
        case 'and': return Predicates.and(...rest.map(wanted));
        case 'or': return Predicates.or(...rest.map(wanted));
        case 'not': return Predicates.not(wanted(rest[0]));
        case 'true': return Predicates.alwaysTrue();
        case 'false': return Predicates.alwaysFalse();
        case 'paging': return Predicates.paging(wanted(rest[0]), rest[1]);
        default: throw new Lacks(`this client has no predicate ${name}`);
    }
}

function aggregation([name, attribute]) {
    if (!AGGREGATORS[name]) {
        throw new Lacks(`this client has no aggregator ${name}`);
    }
    return Aggregators[AGGREGATORS[name]](attribute);
}

module.exports = { aggregation, wanted };
