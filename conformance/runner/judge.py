"""Whether what was seen is what must hold.

Values are JSON, typed ones have a tag: {"int": 7}. A language that cannot see a number's type tells {"number": "7"}, which is
each type's 7. Beside values an expectation may have: {"least": n}, {"most": n}, {"between": [n, m]}, {"near now": ms},
{"size": n} and {"contains": ...} of a list, {"has": {...}} some fields, {"any": 0}, {"starts": "..."}, {"one of": [...]}, {"apart from": name}.
Law: pure. Must not know: players.
"""
import decimal
import json
import re
import time

NUMBERS = {"byte", "short", "int", "long", "float", "double", "bigint", "number"}
ARRAYS = {"bools": None, "bytes16": "short", "shorts": "short", "ints": "int", "longs": "long", "floats": "float", "doubles": "double"}
TIMES = {"date", "time", "datetime", "offset"}
# Answers whose order says nothing.
UNORDERED = {"keySet", "values", "entrySet", "getAll", "project", "objects", "iterate", "aggregate"}


def number(value):
    """(type or None, value) of what is a number, else nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return (None, decimal.Decimal(repr(value)))
    if isinstance(value, dict) and len(value) == 1:
        [(tag, inner)] = value.items()
        if tag in NUMBERS:
            return (None if tag == "number" else tag, decimal.Decimal(str(inner)))
    return None


def plain(value, saved):
    """Arrays as lists of their items, times without trailing zeros, JSON as what it says."""
    if isinstance(value, list):
        return [plain(item, saved) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(tag, inner)] = value.items()
        if tag in ARRAYS and isinstance(inner, list):
            of = ARRAYS[tag]
            return {"array": [{of: item} if of else item for item in inner], "of": tag}
        if tag == "chars":
            return {"array": list(inner), "of": tag}
        if tag == "strings":
            return {"array": inner, "of": tag}
        if tag == "list":
            return {"array": [plain(item, saved) for item in inner], "of": "list"}
        if tag == "json":
            return {"json": json.loads(inner) if isinstance(inner, str) else inner}
        if tag in TIMES:
            return {tag: clock(inner)}
    return {key: plain(inner, saved) for key, inner in value.items()}


def clock(text):
    """Times of day to the second at least, and without zeros at the end of a fraction."""
    text = re.sub(r"(\.\d*?)0+(?=$|[-+Z])", r"\1", text)
    text = re.sub(r"\.(?=$|[-+Z])", "", text)
    return re.sub(r"Z$", "+00:00", text)


def measured(want, seen):
    value = number(seen)
    if value is None:
        return False
    [(kind, bound)] = want.items()
    value = value[1]
    if kind == "least":
        return value >= bound
    if kind == "most":
        return value <= bound
    if kind == "between":
        return bound[0] <= value <= bound[1]
    return abs(value - int(time.time() * 1000)) <= bound


def same(want, seen, saved, names=None):
    if number(want) and number(seen):
        (left, a), (right, b) = number(want), number(seen)
        return a == b and (left is None or right is None or left == right)
    if isinstance(want, dict):
        if len(want) == 1:
            [(kind, inner)] = want.items()
            if kind == "any":
                return True
            # Some languages have no letters, only texts.
            if kind == "char" and isinstance(seen, str):
                return seen == inner
            if kind in ("least", "most", "between", "near now"):
                return measured(want, seen)
            if kind == "size":
                return isinstance(seen, list) and len(seen) == inner
            if kind == "has":
                return isinstance(seen, dict) and all(key in seen and same(inner[key], seen[key], saved) for key in inner)
            if kind == "starts":
                return isinstance(seen, str) and seen.startswith(inner)
            if kind == "one of":
                return any(same(each, seen, saved) for each in inner)
            if kind == "contains":
                return isinstance(seen, list) and any(same(inner, each, saved) for each in seen)
            if kind == "apart from":
                return isinstance(seen, list) and not any(each in saved[inner] for each in seen)
        if not isinstance(seen, dict):
            return False
        if "array" in want and "array" in seen:
            kinds = want["of"] == seen["of"] or seen["of"] == "list" and want["of"] != "list"
            return kinds and same(want["array"], seen["array"], saved)
        return want.keys() == seen.keys() and all(same(want[key], seen[key], saved) for key in want)
    if isinstance(want, list):
        return isinstance(seen, list) and len(want) == len(seen) and all(same(w, s, saved) for w, s in zip(want, seen))
    return want == seen and type(want) is type(seen)


def any_order(want, seen, saved):
    """Lists of the same items, each seen item taken once."""
    if len(want) != len(seen):
        return False
    left = list(seen)
    for item in want:
        at = next((i for i, each in enumerate(left) if same(item, each, saved)), None)
        if at is None:
            return False
        left.pop(at)
    return True


def error_name(name):
    """The error without what a language adds to its name."""
    return re.sub(r"^Err|(Error|Exception)$", "", name.split(".")[-1])


def holds(step, answer, saved):
    kind, *rest = step.is_
    if kind == "error":
        names, part = rest
        return "error" in answer and error_name(answer["error"]) in names and part in answer["says"]
    if "is" not in answer:
        return False
    seen = plain(answer["is"], saved)
    if kind == "any":
        return True
    if kind == "same":
        return same(saved[rest[0]], seen, saved)
    if kind == "other":
        return not same(saved[rest[0]], seen, saved)
    want = plain(rest[0], saved)
    if step.do[0] in UNORDERED and isinstance(want, list) and isinstance(seen, list):
        return any_order(want, seen, saved)
    if step.do[0] == "aggregate" and isinstance(want, dict) and want.get("of") == "list" and isinstance(seen, dict):
        return seen.get("of") == "list" and any_order(want["array"], seen["array"], saved)
    return same(want, seen, saved)
