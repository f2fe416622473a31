"""Writers that keep a ledger while members are killed: what was acknowledged must be readable afterwards.

Law: each writer owns its keys and counts up; what was read must lie between the last acknowledged and the last tried.
A put that failed is unknown: it may be there. Must not know: what is done to the members.
"""
import threading

KEYS_EACH = 20


class Load:
    def __init__(self, entries, writers):
        self.entries = entries
        self.tried, self.acknowledged = {}, {}
        self.puts, self.unknown, self.first_trouble = 0, 0, None
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(writers)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        value = 0
        while not self.ending.is_set():
            value += 1
            key = f"w{writer}-{value % KEYS_EACH}"
            self.tried[key] = value
            try:
                self.entries.set(key, str(value)).result()
            except Exception as error:
                with self.lock:
                    self.unknown += 1
                    self.first_trouble = self.first_trouble or f"{type(error).__name__}: {error}"
                self.ending.wait(0.05)
                continue
            self.acknowledged[key] = value
            with self.lock:
                self.puts += 1

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return {"acknowledged": self.puts, "unknown": self.unknown, "trouble": self.first_trouble}

    def lost(self):
        wrong = []
        for key, least in sorted(self.acknowledged.items()):
            value = self.entries.get(key).result()
            if value is None or not least <= int(value) <= self.tried[key]:
                wrong.append(f"{key}: {least} was acknowledged, {self.tried[key]} tried, {value} is there")
        return wrong
