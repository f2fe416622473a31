"""Writers that keep a ledger while members are killed and cut off: what was acknowledged must be there.

Law: each writer owns its keys and counts up, and each put says what was there before: the last acknowledged value, or one of
those whose put failed, which may be done at any time. What was acknowledged when the ledger was marked is the least that must
be there even where a map may lose its last moments. Must not know: what is done to the members.
"""
import threading

KEYS_EACH = 20
# As many lines as a person reads.
TOLD_MOST = 20


class Load:
    def __init__(self, entries, writers):
        self.entries = entries
        self.acknowledged, self.unknown, self.marked = {}, {}, {}
        self.wrong, self.wrong_since_mark = [], []
        self.puts, self.puts_at_mark, self.failed, self.first_trouble = 0, 0, 0, None
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(writers)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        value = 0
        while not self.ending.is_set():
            value += 1
            key = f"w{writer}-{value % KEYS_EACH}"
            try:
                before = self.entries.put(key, str(value)).result()
            except Exception as error:
                with self.lock:
                    self.unknown.setdefault(key, set()).add(value)
                    self.failed += 1
                    self.first_trouble = self.first_trouble or f"{type(error).__name__}: {error}"
                self.ending.wait(0.05)
                continue
            with self.lock:
                self.judge(key, before)
                self.acknowledged[key] = value
                self.puts += 1

    def judge(self, key, seen):
        value, sure = None if seen is None else int(seen), self.acknowledged.get(key)
        if value == sure or value in self.unknown.get(key, ()):
            return
        words = f"{key}: {sure} was acknowledged, {value} is there"
        if len(self.wrong) < TOLD_MOST:
            self.wrong.append(words)
        least = self.marked.get(key)
        if least is not None and (value is None or value < least) and len(self.wrong_since_mark) < TOLD_MOST:
            self.wrong_since_mark.append(f"{words}, {least} was marked")

    def mark(self):
        with self.lock:
            self.marked, self.puts_at_mark = dict(self.acknowledged), self.puts

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return {"acknowledged": self.puts, "unknown": self.failed, "trouble": self.first_trouble}

    def lost(self):
        for key in sorted(self.acknowledged):
            self.judge(key, self.entries.get(key).result())
        return self.wrong

    def lost_since_mark(self):
        self.lost()
        return self.wrong_since_mark
