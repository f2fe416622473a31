"""Processes that a script of a cluster started, found again by their id and by words of their command.

Law: only what was started here is ended; a number that another process has by now is nobody's.
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

if "JET_CACHE" not in os.environ:
    sys.exit("JET_CACHE is not set: `make conformance` sets it")
ROOM = pathlib.Path(os.environ["JET_CACHE"]) / "conformance"


class Processes:
    def __init__(self, room, mark):
        """`mark` gives words of the command of member N, by which it is known."""
        self.room, self.mark = room, mark

    def pid_file(self, number):
        return self.room / f"{number}.pid"

    def log(self, number):
        return self.room / f"{number}.log"

    def running(self, number):
        try:
            pid = int(self.pid_file(number).read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            return None
        return pid if all(word in words for word in self.mark(number)) else None

    def begin(self, number, command):
        if self.running(number):
            return
        self.room.mkdir(parents=True, exist_ok=True)
        with open(self.log(number), "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid_file(number).write_text(str(child.pid))
        # For a moment a process that was just begun has no words of its own.
        while child.poll() is None and not self.running(number):
            time.sleep(0.001)

    def signal(self, number, which):
        pid = self.running(number)
        if not pid:
            sys.exit(f"member {number} does not run: its log is {self.log(number)}")
        os.kill(pid, which)

    def kill(self, *numbers):
        for pid in filter(None, map(self.running, numbers)):
            os.kill(pid, signal.SIGKILL)
        for number in numbers:
            self.wait_gone(number, 10)

    def wait_gone(self, number, within):
        until = time.monotonic() + within
        while self.running(number):
            if time.monotonic() > until:
                sys.exit(f"member {number} is still there after {within} s: its log is {self.log(number)}")
            time.sleep(0.01)
        self.pid_file(number).unlink(missing_ok=True)
