"""Writers and readers of keys that all languages share, and what each was told: a history for `histories`.

Law: times are of the machine's one monotonic clock, as in each other language; what failed has no return, and what is not
offered has no line. Must not know: whether it was right.
"""
import json
import random
import threading
import time

from hazelcast.errors import UnsupportedOperationError

KEYS = 24
# As many operations a key as can be judged.
PACE = 0.02


class Race:
    def __init__(self, entries, workers, first):
        self.entries, self.lines, self.ending = entries, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(first + n,), daemon=True) for n in range(workers)]
        for thread in self.threads:
            thread.start()

    def run(self, client):
        seen, number = {}, 0
        while not self.ending.wait(PACE):
            number += 1
            key, value = f"k{random.randrange(KEYS)}", f"{client}-{number}"
            line = {"client": client, "key": key} | self.wish(seen.get(key), value)
            line |= {"call": time.monotonic_ns(), "return": None}
            try:
                told = self.call(line)
            except UnsupportedOperationError:
                continue
            except Exception:
                self.lines.append(line)
                continue
            line |= told | {"return": time.monotonic_ns()}
            seen[key] = line["value"] if line["op"] != "cas" or line["done"] else None
            self.lines.append(line)

    @staticmethod
    def wish(old, value):
        ops = ["get", "put", "cas"] if old is not None else ["get", "put"]
        op = random.choice(ops)
        return {"op": op} | ({"value": value} if op != "get" else {}) | ({"old": old} if op == "cas" else {})

    def call(self, line):
        if line["op"] == "get":
            return {"value": self.entries.get(line["key"])}
        if line["op"] == "put":
            return {"before": self.entries.put(line["key"], line["value"])}
        return {"done": self.entries.replace_if_same(line["key"], line["old"], line["value"])}

    def stop(self, path):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        with open(path, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in self.lines)
        unknown = sum(line["return"] is None for line in self.lines)
        return {"told": len(self.lines) - unknown, "unknown": unknown}
