"""The four programs that play steps, and the script of a cluster.

Law: a player that does not answer in time is ended, with all that it started, and the check says so; nothing waits for ever.
Must not know: checks.
"""
import json
import os
import pathlib
import queue
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOM = pathlib.Path(os.environ["JET_CACHE"]) / "conformance"
LANGUAGES = ["python", "node", "go", "java"]
# Longer than any call waits (players give up after 60 s).
ANSWERS_WITHIN = 150
HOOK_WITHIN = 300


def command(language):
    return {
        "python": [str(ROOM / "python/venv/bin/python"), str(HERE / "python/player.py")],
        "node": ["node", str(ROOM / "node/player.js")],
        "go": [str(ROOM / "go/player")],
        "java": ["java", "-Xmx512m", "-Djava.util.logging.config.file=" + str(HERE / "java/logging.properties"),
                 "--add-modules", "java.se", "--add-exports", "java.base/jdk.internal.ref=ALL-UNNAMED",
                 "--add-opens", "java.base/java.lang=ALL-UNNAMED", "--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED",
                 "--add-opens", "java.management/sun.management=ALL-UNNAMED",
                 "-cp", f"{ROOM / 'java/classes'}:{ROOM / 'java/jars'}/*", "Player"],
    }[language]  # fmt: skip


class Silent(Exception):
    pass


class Player:
    def __init__(self, language, addresses, cluster):
        self.language = language
        self.begin = [*command(language), ",".join(addresses), cluster]
        self.log = ROOM / "log" / f"{language}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.start("wb")

    def start(self, mode="ab"):
        with open(self.log, mode) as log:
            self.process = subprocess.Popen(self.begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self.listen, args=(self.process, self.answers), daemon=True).start()

    @staticmethod
    def listen(process, answers):
        for line in process.stdout:
            answers.put(line)
        answers.put(None)

    def play(self, **step):
        if self.process.poll() is not None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(step) + "\n")
            self.process.stdin.flush()
            answer = self.answers.get(timeout=ANSWERS_WITHIN)
        except BrokenPipeError:
            answer = None
        except queue.Empty:
            self.process.kill()
            raise Silent(f"the {self.language} client did not answer within {ANSWERS_WITHIN} s; its log is {self.log}") from None
        if answer is None:
            raise Silent(f"the {self.language} client ended with {self.process.wait()}; its log is {self.log}")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Cluster:
    def __init__(self, script):
        self.script = script

    def tell(self, *words):
        done = subprocess.run([self.script, *words], capture_output=True, text=True, timeout=HOOK_WITHIN)
        if done.returncode:
            raise Silent(f"{pathlib.Path(self.script).name} {' '.join(words)}: {done.stderr.strip() or done.returncode}")
        return done.stdout.strip()
