"""What the jobs must have found: computed by SQLite over the same file, apart from the system.

Law: nothing here knows how the system works; equal means equal row by row, NULL included.
"""
import csv
import sqlite3

DELAYS = "SELECT carrier, origin, COUNT(*), SUM(dep_delay), MAX(dep_delay) FROM flights GROUP BY carrier, origin"
HOURS = "SELECT time_hour, COUNT(*) FROM flights GROUP BY time_hour"


def load(path):
    """The file as a SQLite table; 'NA' is NULL."""
    db = sqlite3.connect(":memory:")
    with open(path, newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        text = {"carrier", "tailnum", "origin", "dest", "time_hour"}
        db.execute("CREATE TABLE flights (%s)" % ", ".join(f"{n} {'TEXT' if n in text else 'INTEGER'}" for n in names))
        marks = ",".join("?" * len(names))
        clean = ([None if cell in ("NA", "") else cell for cell in row] for row in rows)
        db.executemany(f"INSERT INTO flights VALUES ({marks})", clean)
    return db


def expected(db, query):
    """Rows of `query` as text cells, sorted; None is NULL."""
    return sorted([None if v is None else str(v) for v in row] for row in db.execute(query))


def found(path):
    """Rows that the system answered (CSV; an unquoted empty cell is NULL), sorted."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    return sorted([None if cell == "" else cell for cell in row] for row in rows[1:])


def ledger(keys, count):
    """Each number of each key counted exactly once: numbers 0 … n-1 per key, events dealt evenly."""
    per_key = count // keys
    return sorted([str(k), str(per_key), str(per_key - 1), str(per_key * (per_key - 1) // 2)] for k in range(keys))


def difference(want, got):
    """None if equal, else a sentence with the first difference."""
    if want == got:
        return None
    for index, pair in enumerate(zip(want, got)):
        if pair[0] != pair[1]:
            return f"row {index}: expected {pair[0]}, found {pair[1]}"
    return f"expected {len(want)} rows, found {len(got)}"
