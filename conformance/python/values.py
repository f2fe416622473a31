"""Values of the checks, as this language has them.

Law: what a check writes as `{"int": 7}` goes over the wire as exactly that type, or `Lacks` says that this client cannot;
what comes back is told with the type that the language can still see, `number` where it sees none.
Must not know: maps.
"""
import datetime
import decimal
import json
import uuid

from hazelcast.config import IntType
from hazelcast.core import HazelcastJsonValue
from people import Person

INTEGERS = {"byte": IntType.BYTE, "short": IntType.SHORT, "int": IntType.INT, "long": IntType.LONG, "bigint": IntType.BIG_INT}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Longer texts are told by their length.
LONG_TEXT = 1000


class Lacks(Exception):
    pass


def integer_type(data):
    """Which integers this step writes: a client of this language has one width for all that it writes."""
    if isinstance(data, list):
        return next((found for found in map(integer_type, data) if found), None)
    if isinstance(data, dict):
        for tag, inner in data.items():
            if tag in INTEGERS:
                return tag
            if found := integer_type(inner):
                return found
    return None


def big(length):
    return (LETTERS * (length // len(LETTERS) + 1))[:length]


def instant(text):
    return datetime.datetime.fromisoformat(text)


def read(data):
    if data is None or isinstance(data, (bool, str)):
        return data
    [(tag, inner)] = data.items()
    if tag in INTEGERS:
        return int(inner)
    makers = {
        "double": float,
        "decimal": decimal.Decimal,
        "json": HazelcastJsonValue,
        "uuid": uuid.UUID,
        "bytes": lambda text: bytearray.fromhex(text),
        "date": datetime.date.fromisoformat,
        "time": datetime.time.fromisoformat,
        "offset": instant,
        "list": lambda items: [read(item) for item in items],
        "big": big,
        "person": lambda fields: Person(**fields),
    }
    if tag not in makers:
        raise Lacks(f"this client writes no {tag}")
    return makers[tag](inner)


def told(value):
    if isinstance(value, str):
        if len(value) <= LONG_TEXT:
            return value
        return {"big": len(value)} if value == big(len(value)) else {"spoiled": len(value)}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, HazelcastJsonValue):
        return {"json": value.to_string()}
    if isinstance(value, Person):
        return {"person": {"name": value.name, "age": value.age}}
    kinds = [
        (int, lambda: {"number": str(value)}),
        (float, lambda: {"number": repr(value)}),
        (decimal.Decimal, lambda: {"decimal": format(value, "f")}),
        (uuid.UUID, lambda: {"uuid": str(value)}),
        ((bytes, bytearray), lambda: {"bytes": bytes(value).hex()}),
        (datetime.datetime, lambda: {"offset" if value.tzinfo else "datetime": value.isoformat()}),
        (datetime.date, lambda: {"date": value.isoformat()}),
        (datetime.time, lambda: {"time": value.isoformat()}),
        ((list, tuple, set), lambda: {"list": [told(item) for item in value]}),
    ]
    for kind, tell in kinds:
        if isinstance(value, kind):
            return tell()
    return {"unknown": json.dumps(str(value))}
