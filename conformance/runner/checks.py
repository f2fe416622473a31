"""Reads the list of checks.

A check is a head (`check ID: what must hold`), what a language lacks for it (`lacks go: why`), and steps, indented:

    put "k" "v1"                => null          the default client plays it
    b: get "k" as before        => "v1"          another client of the same language; what was seen gets a name
    go: get "k"                 => same before   another language's client
    within 5000: get "k"        => null          again and again until it is so
    for 2000: get "k"           => "v1"          again and again, and always so
    ! kill 2                                     the cluster's script is told this
    ! wait 2000                                  so many milliseconds pass

After `=>`: JSON with what judge.py knows, `any`, `same NAME`, `other NAME`, `error NAME|NAME "part of its message"`. A step
without `=>` must not fail. `beside: put ...` is played on a second map. `together` after the id: all languages play it at the same time, and a hook acts once.
`pairs`: each language writes (`writer:`) and each reads (`reader:`). `maps PREFIX-` sets how its map's name begins.
`on CLUSTER: why`: it is played on that cluster alone.
Law: the list alone says what must hold. Must not know: languages, clients.
"""
import dataclasses
import json
import pathlib
import re

LIST = pathlib.Path(__file__).resolve().parent.parent / "checks"
DECODER = json.JSONDecoder()


class Malformed(Exception):
    pass


@dataclasses.dataclass
class Step:
    where: str
    do: list = None
    hook: list = None
    player: str = None
    by: str = "a"
    within: int = 0
    lasting: int = 0
    name: str = None
    is_: tuple = ("any",)
    beside: bool = False


@dataclasses.dataclass
class Check:
    id: str
    must: str
    tier: str
    how: str = "each"
    maps: str = ""
    on: str = None
    lacks: dict = dataclasses.field(default_factory=dict)
    steps: list = dataclasses.field(default_factory=list)


def values(text):
    """JSON values one after the other, and what is left behind them."""
    found, at = [], 0
    while True:
        while at < len(text) and text[at] == " ":
            at += 1
        if at == len(text) or text[at] not in '"{[0123456789-tfn':
            return found, text[at:]
        value, at = DECODER.raw_decode(text, at)
        found.append(value)


def expected(text):
    if text == "any":
        return ("any",)
    if match := re.fullmatch(r"(same|other) (\w+)", text):
        return match.groups()
    if match := re.fullmatch(r"error ([\w|]+)(?: (\".*\"))?", text):
        return ("error", match[1].split("|"), json.loads(match[2] or '""'))
    return ("json", json.loads(text))


def step(text, where):
    read = Step(where)
    if text.startswith("! "):
        read.hook = text[2:].split()
        return read
    call, arrow, answer = text.partition(" => ")
    while match := re.match(r"(within|for|[a-z]+)(?: (\d+))?: ", call):
        call = call[match.end() :]
        if match[1] == "within":
            read.within = int(match[2])
        elif match[1] == "for":
            read.lasting = int(match[2])
        elif match[1] == "beside":
            read.beside = True
        elif len(match[1]) <= 4 and match[1] not in ("node", "go", "java"):
            read.by = match[1]
        else:
            read.player = match[1]
    op, _, rest = call.strip().partition(" ")
    arguments, left = values(rest)
    if left.startswith("as "):
        read.name = left[3:].strip()
    elif left:
        raise Malformed(f"{where}: {left!r} is no JSON")
    read.do = [op, *arguments]
    if arrow:
        read.is_ = expected(answer.strip())
    return read


def of_file(path):
    tier, checks = "A", []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where, text = f"{path.name}:{number}", line.strip()
        try:
            if not text or text.startswith("#"):
                continue
            if line.startswith(" "):
                checks[-1].steps.append(step(text, where))
            elif match := re.fullmatch(r"tier (\w+)", text):
                tier = match[1]
            elif match := re.fullmatch(r"check ([\w.-]+)(?: (together|pairs))?: (.+)", text):
                checks.append(Check(match[1], match[3], tier, match[2] or "each"))
            elif match := re.fullmatch(r"lacks ([\w ]+): (.+)", text):
                checks[-1].lacks |= {language: match[2] for language in match[1].split()}
            elif match := re.fullmatch(r"on (\w+): (.+)", text):
                checks[-1].on = match[1]
            elif match := re.fullmatch(r"maps (\S+)", text):
                checks[-1].maps = match[1]
            else:
                raise Malformed(f"{where}: no line of a check: {text}")
        except (ValueError, IndexError) as error:
            raise Malformed(f"{where}: {error}: {text}") from error
    return checks


def all_checks():
    checks = [check for path in sorted(LIST.glob("*.checks")) for check in of_file(path)]
    ids = [check.id for check in checks]
    twice = {each for each in ids if ids.count(each) > 1}
    if twice:
        raise Malformed(f"ids stand twice: {sorted(twice)}")
    return checks
