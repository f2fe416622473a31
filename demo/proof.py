"""The closing table: what was collected, held against an oracle; any difference ends non-zero.

Law: every figure of the table was read from a file that the system or the oracle wrote. BREAK spoils the answer
that was fetched, so that the comparison itself is seen to fail.
"""
import glob
import json
import os
import sys

import oracle

KEYS, EVENTS, ROWS = 100, 120_000, 336_776


def members(prefix):
    views = [json.load(open(path)) for path in sorted(glob.glob(f"{prefix}-member-*.json"))]
    return {view["ordinal"]: view for view in views}


def jobs(prefix):
    return {job["name"]: job for job in json.load(open(f"{prefix}-jobs.json"))}


def spoil(rows, how):
    if how == "drop":
        return rows[:3] + rows[4:]
    if how == "double":
        return rows[:3] + [rows[3][:-1] + [str(2 * int(rows[3][-1]))]] + rows[4:]
    if how == "swap":
        first, second = rows[3], rows[4]
        return rows[:3] + [first[:-1] + second[-1:], second[:-1] + first[-1:]] + rows[5:]
    return rows


def work(view, job):
    return next((w for w in view["work"] if w["job"] == job), {"rows_in": 0, "bytes_in": 0, "bytes_out": 0})


def line(name, *cells):
    print(f"  {name:<26}" + "".join(f"{str(cell):<42}" for cell in cells).rstrip())


def main(directory, flights, stop_from, stop_to, return_from, return_to):
    wrong = []
    before, after, end = (members(os.path.join(directory, p)) for p in ("before", "after", "end"))
    seal = json.load(open(os.path.join(directory, "seal.json")))
    print("\n  members                   before                                    after")
    same = 0
    for ordinal in sorted(before):
        line(f"flights-{ordinal}", before[ordinal]["uuid"], after.get(ordinal, {}).get("uuid", "absent"))
        same += before[ordinal]["uuid"] == after.get(ordinal, {}).get("uuid")
    if same != len(before):
        wrong.append("not every member is the original one")
    generation = [views[min(views)]["cluster"]["generation"] for views in (before, after)]
    line("generation", *generation)
    if generation[1] != generation[0] + 1:
        wrong.append(f"generation went from {generation[0]} to {generation[1]}")
    line("sealed record", seal["metadata"]["name"])

    print("\n  exchanged since the return  rows read                                 bytes sent / received")
    for ordinal, view in sorted(end.items()):
        totals = {key: sum(w[key] for w in view["work"]) for key in ("rows_in", "bytes_out", "bytes_in")}
        line(f"flights-{ordinal}", totals["rows_in"], f"{totals['bytes_out']} / {totals['bytes_in']}")
        if min(totals.values()) == 0:
            wrong.append(f"member {ordinal} did no part of the work: {totals}")

    print("\n  job                       snapshot of the stop                      goes on from")
    ends, afters = jobs(os.path.join(directory, "end")), jobs(os.path.join(directory, "after"))
    for name in sorted(ends):
        job = afters.get(name) or {}
        started, verdict = job.get("started_from") or {}, job.get("verdict")
        line(name, f"{started.get('execution')}/{started.get('epoch')} terminal={started.get('terminal')}", f"{verdict}")
        if verdict != "Resumed":
            wrong.append(f"job {name}: verdict {verdict}")
    started = (ends["delays"].get("started_from") or afters["delays"].get("started_from") or {}).get("rows_read", 0)
    read_after = sum(work(view, "delays")["rows_in"] for view in end.values())
    twice = started + read_after - ROWS
    print("\n  rows of the file          before the stop / after the return        twice")
    line("delays", f"{started} / {read_after} of {ROWS}", twice)
    if twice != 0 or not 0 < started < ROWS:
        wrong.append(f"rows before {started} + after {read_after} is not {ROWS}, each once and in mid-stream")

    db = oracle.load(flights)
    verdicts = {}
    for name, want in (("delays", oracle.expected(db, oracle.DELAYS)), ("hours", oracle.expected(db, oracle.HOURS)), ("ledger", oracle.ledger(KEYS, EVENTS))):
        got = oracle.found(os.path.join(directory, f"{name}.csv"))
        if name == "delays":
            got = sorted(spoil(got, os.environ.get("BREAK", "")), key=lambda row: [c or "" for c in row])
            want = sorted(want, key=lambda row: [c or "" for c in row])
        verdicts[name] = oracle.difference(want, got)
        line(name, f"{len(got)} rows against the oracle", "equal" if verdicts[name] is None else verdicts[name])
    wrong += [f"{name}: {why}" for name, why in verdicts.items() if why]

    stop_s, return_s = float(stop_to) - float(stop_from), float(return_to) - float(return_from)
    line("seconds", f"stop {stop_s:.1f}", f"return {return_s:.1f}")
    bounds = [os.path.join(directory, f"bound-{what}") for what in ("stop", "return")]
    if all(os.path.exists(path) for path in bounds):
        line("of it in Kubernetes alone", *(f"{what} {open(path).read().strip()}" for what, path in zip(("pods gone in", "containers up in"), bounds)))
    for why in wrong:
        print(f"\n  WRONG: {why}")
    equal = "equal" if not (verdicts["delays"] or verdicts["hours"]) else "different"
    ledger = "equal" if not verdicts["ledger"] else "different"
    print(f"\noracle={equal} ledger={ledger} members={same}/{len(before)} stop_s={stop_s:.1f} return_s={return_s:.1f}")
    sys.exit(1 if wrong else 0)


main(*sys.argv[1:])
