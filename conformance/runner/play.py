#!/usr/bin/env python3
"""Plays the list of checks with the official clients against a cluster, and prints one JSON line a check and language.

Law: a line says `ok` only if each step held; what a language lacks must be said in the list, and is neither good nor bad.
Usage: play.py CLUSTER [--languages python,node] [--only PATTERN] [--tiers A,B] [--out FILE]
"""
import argparse
import fnmatch
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time

from checks import Malformed, all_checks
from judge import holds, plain
from players import HERE, LANGUAGES, ROOM, Cluster, Player, Silent

AGAIN_AFTER = 0.05
HISTORIES = ROOM / "history"
# What began must end, and a history must be whole, whatever else does not hold.
ENDS = {"raceStop", "loadStop"}
# Real members keep nothing on a disk, and have no networks of their own here.
PLAYED = {"oracle": "A,B,restart", "members": "A,B,restart,return", "lan": "lan"}


class Failed(Exception):
    pass


class Lacking(Exception):
    pass


class Run:
    def __init__(self, cluster, players, out):
        self.cluster, self.players, self.out = cluster, players, out
        self.lock, self.count = threading.Lock(), {language: {"ok": 0, "bad": 0, "lacks": 0} for language in players}
        self.name, self.history = f"{os.getpid():x}", None

    def told(self, check, language, result, seen, took, reader=None):
        kind = {True: "ok", False: "bad"}.get(result, result)
        line = {"id": check.id, "language": language, "ok": result}
        if reader:
            line["written by"] = reader
        line |= {"seen": seen, "took_ms": round(took * 1000)}
        with self.lock:
            self.count[language][kind] += 1
            print(json.dumps(line, ensure_ascii=False), file=self.out, flush=True)
            if result is False:
                print(f"{language}{' reads ' + reader if reader else ''}: {check.id} ({check.must}): {json.dumps(seen, ensure_ascii=False)[:1500]}", file=sys.stderr, flush=True)

    def filled(self, value, map_name):
        if isinstance(value, str):
            return value.replace("{map}", map_name).replace("{run}", self.name).replace("{out}", str(self.history))
        if isinstance(value, list):
            return [self.filled(item, map_name) for item in value]
        if isinstance(value, dict):
            return {key: self.filled(item, map_name) for key, item in value.items()}
        return value

    def once(self, step, language, map_name):
        do = self.filled(step.do, map_name)
        return self.players[language].play(by=step.by, map=map_name + ("-beside" if step.beside else ""), do=do)

    def step(self, step, language, map_name, saved):
        """The last answer, if the step holds."""
        want = step if step.is_[0] != "json" else self.wanted(step, map_name)
        begun = time.monotonic()
        while True:
            answer = self.once(step, language, map_name)
            if "lacks" in answer:
                raise Lacking(answer["lacks"])
            good, passed = holds(want, answer, saved), (time.monotonic() - begun) * 1000
            if step.lasting and good and passed < step.lasting or step.within and not good and passed < step.within:
                time.sleep(AGAIN_AFTER)
                continue
            if not good:
                raise Failed({"at": step.where, "did": step.do, "want": step.is_, "seen": answer, "after_ms": round(passed)})
            if step.name:
                saved[step.name] = plain(answer["is"], saved)
            return answer

    def wanted(self, step, map_name):
        copy = type(step)(**vars(step))
        copy.is_ = ("json", self.filled(step.is_[1], map_name))
        return copy

    def guarded(self, check, language, action, writer=None):
        begun, result, seen = time.monotonic(), True, None
        try:
            seen = action()
        except Lacking as lack:
            declared = language in check.lacks or writer in check.lacks
            result, seen = ("lacks" if declared else False), str(lack)
        except Failed as failure:
            result, seen = False, failure.args[0]
        except Silent as silence:
            result, seen = False, str(silence)
        self.told(check, language, result, seen, time.monotonic() - begun, writer)

    def each(self, check, language):
        name, saved = f"{check.maps}{check.id}-{language}-{self.name}", {}

        def action():
            if language in check.lacks:
                raise Lacking(check.lacks[language])
            return [self.step(step, step.player or language, name, saved).get("is", "error") for step in check.steps]

        self.guarded(check, language, action)

    def pair(self, check, writer, reader):
        name, saved = f"{check.maps}{check.id}-{writer}-{reader}-{self.name}", {}
        roles = {"writer": writer, "reader": reader}

        def action():
            return [self.step(step, roles[step.player], name, saved).get("is", "error") for step in check.steps]

        self.guarded(check, reader, action, writer)

    def hook(self, words):
        if words[0] == "wait":
            time.sleep(int(words[1]) / 1000)
            return
        if words != ["histories"]:
            self.cluster.tell(*words)
            return
        files = sorted(self.history.glob("*.jsonl"))
        missing = self.players.keys() - {file.stem.split("-")[0] for file in files}
        if missing:
            raise Silent(f"not judged: {', '.join(sorted(missing))} gave no history, and wrote what the others read")
        done = subprocess.run([ROOM / "histories", *files], capture_output=True, text=True)
        if done.returncode:
            raise Silent(f"the history is not linearizable: {done.stdout}{done.stderr}; it lies in {self.history}")

    def end(self, step, language, map_name):
        if step.do[0] in ENDS:
            try:
                self.once(step, language, map_name)
            except Silent as silence:
                print(f"{language}: {step.where}: {silence}", file=sys.stderr)

    def together(self, check):
        """Each step by all languages, one after the other; a language that failed only ends what it began."""
        names = {language: f"{check.maps}{check.id}-{language}-{self.name}" for language in self.players}
        saved, ended, seen = {language: {} for language in names}, {}, {language: [] for language in names}
        begun = time.monotonic()
        self.history = HISTORIES / check.id
        shutil.rmtree(self.history, ignore_errors=True)
        self.history.mkdir(parents=True)
        for step in check.steps:
            if step.hook:
                try:
                    self.hook(step.hook)
                except Silent as silence:
                    # Told also of whom something else was told before.
                    ended |= {language: (False, [str(silence), *ended.get(language, ())[1:]]) for language in names}
                continue
            for language in names:
                if language in ended:
                    self.end(step, language, names[language])
                    continue
                try:
                    answer = self.step(step, language, names[language], saved[language])
                    seen[language].append(answer.get("is", "error"))
                except Lacking as lack:
                    ended[language] = ("lacks" if language in check.lacks else False, str(lack))
                except Failed as failure:
                    ended[language] = (False, failure.args[0])
                except Silent as silence:
                    ended[language] = (False, str(silence))
        for language in names:
            result, what = ended.get(language, (True, seen[language]))
            self.told(check, language, result, what, time.monotonic() - begun)


def side_by_side(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def play_all(run, checks, languages):
    alone = [check for check in checks if check.how == "each"]

    def one_language(language):
        for check in alone:
            run.each(check, language)

    side_by_side([lambda language=language: one_language(language) for language in languages])
    for check in [check for check in checks if check.how == "pairs"]:
        for writer, reader in itertools.product(languages, languages):
            run.pair(check, writer, reader)
    for check in [check for check in checks if check.how == "together"]:
        run.together(check)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("cluster")
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--only", default="*")
    parser.add_argument("--tiers")
    parser.add_argument("--out")
    return parser.parse_args()


def main():
    asked = options()
    languages = asked.languages.split(",")
    tiers = (asked.tiers or PLAYED[asked.cluster]).split(",")
    checks = [check for check in all_checks() if check.tier in tiers and fnmatch.fnmatch(check.id, asked.only)]
    checks = [check for check in checks if check.on in (None, asked.cluster)]
    if not checks:
        sys.exit(f"play: no check of tiers {tiers} is called {asked.only}")
    cluster = Cluster(str(HERE / "cluster" / asked.cluster))
    addresses = cluster.tell("addresses").split()
    players = {language: Player(language, addresses, "conformance") for language in languages}
    out = open(asked.out, "w") if asked.out else sys.stdout
    run = Run(cluster, players, out)
    try:
        play_all(run, checks, languages)
    finally:
        for player in players.values():
            player.end()
    for language, count in run.count.items():
        print(f"{language:<7} {count['ok']:>4} hold {count['bad']:>4} do not {count['lacks']:>4} lack it", file=sys.stderr)
    sys.exit(1 if any(count["bad"] for count in run.count.values()) else 0)


try:
    main()
except (Malformed, Silent) as error:
    sys.exit(f"play: {error}")
