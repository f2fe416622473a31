// Values of the checks, as this language has them.
//
// Law: what a check writes as {"int": 7} goes over the wire as exactly that type, or Lacks says that this client cannot; what
// comes back is told with the type that the language can still see, `number` where it sees none. Must not know: maps.
'use strict';

const Long = require('long');
const hazelcast = require('hazelcast-client');
const { Person } = require('./people');

const { BigDecimal, HazelcastJsonValue, LocalDate, LocalDateTime, LocalTime, OffsetDateTime, UUID } = hazelcast;

// Which number type a client writes for each tag.
const NUMBER_TYPES = { byte: 'byte', short: 'short', int: 'integer', float: 'float', double: 'double' };
const ARRAY_TYPES = { shorts: 'short', ints: 'integer', floats: 'float', doubles: 'double' };
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
// Longer texts are told by their length.
const LONG_TEXT = 1000;

class Lacks extends Error {}

// Which numbers this step writes: a client of this language has one type for all that it writes.
function numberType(data) {
    if (Array.isArray(data)) {
        return data.map(numberType).find((found) => found);
    }
    if (data !== null && typeof data === 'object') {
        for (const [tag, inner] of Object.entries(data)) {
            const found = NUMBER_TYPES[tag] || ARRAY_TYPES[tag] || numberType(inner);
            if (found) {
                return found;
            }
        }
    }
    return undefined;
}

function big(length) {
    return LETTERS.repeat(Math.floor(length / LETTERS.length) + 1).slice(0, length);
}

function uuid(text) {
    const hex = text.replace(/-/g, '');
    return new UUID(Long.fromString(hex.slice(0, 16), true, 16).toSigned(), Long.fromString(hex.slice(16), true, 16).toSigned());
}

const MAKERS = {
    byte: Number,
    short: Number,
    int: Number,
    float: Number,
    double: Number,
    long: (text) => Long.fromString(String(text)),
    bigint: (text) => BigInt(text),
    decimal: (text) => BigDecimal.fromString(text),
    json: (text) => new HazelcastJsonValue(text),
    uuid,
    bytes: (text) => Buffer.from(text, 'hex'),
    date: (text) => LocalDate.fromString(text),
    time: (text) => LocalTime.fromString(text),
    datetime: (text) => LocalDateTime.fromString(text),
    offset: (text) => OffsetDateTime.fromString(text),
    bools: (items) => items,
    shorts: (items) => items,
    ints: (items) => items,
    longs: (items) => items.map((item) => Long.fromString(String(item))),
    floats: (items) => items,
    doubles: (items) => items,
    strings: (items) => items,
    big,
    person: ({ name, age }) => new Person(name, age),
};

function read(data) {
    if (data === null || data === undefined || typeof data !== 'object') {
        return data;
    }
    const [[tag, inner]] = Object.entries(data);
    if (!MAKERS[tag]) {
        throw new Lacks(`this client writes no ${tag}`);
    }
    return MAKERS[tag](inner);
}

function toldObject(value) {
    if (Long.isLong(value)) {
        return { long: value.toString() };
    }
    if (Buffer.isBuffer(value)) {
        return { bytes: value.toString('hex') };
    }
    if (Array.isArray(value) || value instanceof Set) {
        return { list: [...value].map(told) };
    }
    if (value instanceof Person) {
        return { person: { name: value.name, age: value.age } };
    }
    const kinds = [[UUID, 'uuid'], [BigDecimal, 'decimal'], [LocalDate, 'date'], [LocalTime, 'time'],
        [LocalDateTime, 'datetime'], [OffsetDateTime, 'offset']];
    const kind = kinds.find(([type]) => value instanceof type);
    return kind ? { [kind[1]]: value.toString() } : { json: JSON.stringify(value) };
}

function told(value) {
    switch (typeof value) {
        case 'string':
            if (value.length <= LONG_TEXT) {
                return value;
            }
            return value === big(value.length) ? { big: value.length } : { spoiled: value.length };
        case 'number':
            return { number: String(value) };
        case 'bigint':
            return { bigint: value.toString() };
        case 'object':
            return value === null ? null : toldObject(value);
        default:
            return value === undefined ? null : value;
    }
}

module.exports = { Lacks, numberType, read, told };
