"""Three members of ours: their certificates, configuration, start, end, and when they are ready.

Law: each member has its own home, which stays from one start to the next until the cluster is ended. JET_MEMBER is the
program; else it is that of the last build. Must not know: where members run; a `place` says that.
"""
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from processes import Processes

CLUSTER, PASSWORD = "conformance", "conformance"
EVERYBODY = range(1, 4)
CLIENTS, MEMBERS, ADMIN, HEALTH = 5951, 15951, 16951, 17951
# Three members on two busy cores, each perhaps with a journal to read.
READY_WITHIN, WHOLE_WITHIN, ENDED_WITHIN = 90, 90, 60

CONFIG = """hazelcast:
  cluster-name: {cluster}
  map:
    "fsync-*":
      hot-restart:
        enabled: true
        fsync: true
  network:
    rest-api:
      enabled: true
      endpoint-groups:
        CLUSTER_WRITE:
          enabled: true
        HOT_RESTART:
          enabled: true
    join:
      tcp-ip:
        enabled: true
        member-list: [{members}]
"""
JET_CONFIG = """hazelcast-jet:
  instance:
    lossless-restart-enabled: true
    backup-count: 1
"""


class Place:
    """Where members run. `address(N)`: of member N now; `name(N)`: how peers and clients call it; `enter(N)`: what runs a program there."""

    def address(self, number):
        raise NotImplementedError

    def name(self, number):
        return self.address(number)

    def enter(self, number):
        return []


def program():
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    for path in [os.environ.get("JET_MEMBER"), built / "release/jet-member", built / "debug/jet-member"]:
        if path and pathlib.Path(path).exists():
            return str(path)
    sys.exit("members: no jet-member is built: run `make build`, or name one in JET_MEMBER")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def pair(tls, name, uri, names, usage):
    """A key and a certificate of our own authority."""
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", tls / "any.key")
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", tls / "any.key", "-out", tls / f"{name}.key")
    openssl("req", "-new", "-key", tls / f"{name}.key", "-subj", f"/CN={name}", "-out", tls / f"{name}.csr")
    alternative = ",".join([*(f"DNS:{each}" for each in names), f"URI:{uri}"])
    wants = f"basicConstraints=critical,CA:FALSE\nsubjectAltName={alternative}\nextendedKeyUsage={usage}\n"
    (tls / f"{name}.ext").write_text(wants)
    openssl("x509", "-req", "-in", tls / f"{name}.csr", "-CA", tls / "ca.crt", "-CAkey", tls / "ca.key", "-CAcreateserial",
            "-days", 30, "-extfile", tls / f"{name}.ext", "-out", tls / f"{name}.crt")  # fmt: skip


def certificates(tls, everybody):
    tls.mkdir(parents=True)
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", tls / "any.key")
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", tls / "any.key", "-out", tls / "ca.key")
    openssl("req", "-x509", "-new", "-key", tls / "ca.key", "-subj", "/CN=authority", "-days", 30, "-out", tls / "ca.crt",
            "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    for ordinal in range(len(everybody)):
        names = [f"member-{ordinal}.{CLUSTER}.local.jet", f"member.{CLUSTER}.local.jet"]
        pair(tls, str(ordinal), f"jet://local/{CLUSTER}/member/{ordinal}", names, "serverAuth,clientAuth")
    pair(tls, "admin", f"jet://local/{CLUSTER}/admin", [], "clientAuth")


class Members:
    def __init__(self, room, place, everybody=EVERYBODY):
        self.room, self.place, self.everybody = room, place, everybody
        self.processes = Processes(room, lambda number: ["--ordinal", str(number - 1), "--home", str(self.home(number))])

    def home(self, number):
        return self.room / f"home-{number}"

    def configure(self):
        config = self.room / "config"
        config.mkdir(parents=True, exist_ok=True)
        listed = ", ".join(f"'{self.place.name(number)}:{MEMBERS}'" for number in self.everybody)
        (config / "hazelcast.yaml").write_text(CONFIG.format(cluster=CLUSTER, members=listed))
        (config / "hazelcast-jet.yaml").write_text(JET_CONFIG)
        (self.room / "password").write_text(PASSWORD)

    def blank(self):
        """No member has anything yet."""
        self.kill_all()
        shutil.rmtree(self.room, ignore_errors=True)
        certificates(self.room / "tls", self.everybody)
        self.configure()

    def begin(self, number):
        self.home(number).mkdir(parents=True, exist_ok=True)
        self.processes.begin(number, [
            *self.place.enter(number), program(), "--config", str(self.room / "config/hazelcast-jet.yaml"),
            "--home", str(self.home(number)), "--ordinal", str(number - 1), "--tls", str(self.room / "tls"),
            "--bind", self.place.address(number), "--member-port", str(MEMBERS), "--admin-port", str(ADMIN),
            "--health-port", str(HEALTH), "--client-port", str(CLIENTS), "--founding", "configuration",
            "--rest-password-file", str(self.room / "password"), "--volume-id", f"volume-{number}",
        ])  # fmt: skip

    def ready(self, number):
        try:
            with urllib.request.urlopen(f"http://{self.place.address(number)}:{HEALTH}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, numbers):
        until = time.monotonic() + READY_WITHIN
        for number in numbers:
            while not self.ready(number):
                if not self.processes.running(number):
                    sys.exit(f"members: member {number} ended: its log is {self.processes.log(number)}")
                if time.monotonic() > until:
                    sys.exit(f"members: member {number} is not ready after {READY_WITHIN} s: its log is {self.processes.log(number)}")
                time.sleep(0.05)

    def whole(self, number):
        """All are there and have their copies: the next one may be killed."""
        try:
            with urllib.request.urlopen(f"http://{self.place.address(number)}:{CLIENTS}/hazelcast/health", timeout=2) as answer:
                health = json.load(answer)
            return health["clusterSafe"] and health["clusterSize"] == len(self.everybody)
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def wait_whole(self):
        """As each member sees it."""
        until = time.monotonic() + WHOLE_WITHIN
        for number in self.everybody:
            while not self.whole(number):
                if time.monotonic() > until:
                    sys.exit(f"members: the cluster is not safe, as {number} sees it, after {WHOLE_WITHIN} s: logs are in {self.room}")
                time.sleep(0.05)

    def shut_down(self):
        """A planned stop of the whole cluster; over when all processes are gone."""
        url = f"http://{self.place.address(1)}:{CLIENTS}/hazelcast/rest/management/cluster/clusterShutdown"
        body = f"{urllib.parse.quote(CLUSTER)}&{urllib.parse.quote(PASSWORD)}".encode()
        with urllib.request.urlopen(url, data=body, timeout=30) as answer:
            said = answer.read().decode()
        if '"success"' not in said:
            sys.exit(f"members: the cluster does not shut down: {said}")
        for number in self.everybody:
            self.processes.wait_gone(number, ENDED_WITHIN)

    def begin_all(self):
        for number in self.everybody:
            self.begin(number)
        self.wait_ready(self.everybody)
        self.wait_whole()

    def start(self, number):
        self.begin(number)
        self.wait_ready([number])
        self.wait_whole()

    def kill_all(self):
        """At once: none of them sees another one gone first."""
        self.processes.kill(*self.everybody)

    def verbs(self):
        return {
            "stop": self.shut_down, "back": self.begin_all, "kill-all": self.kill_all, "whole": self.wait_whole,
            "addresses": lambda: print(" ".join(f"{self.place.name(number)}:{CLIENTS}" for number in self.everybody)),
            "kill": lambda number: self.processes.kill(int(number)),
            "start": lambda number: self.start(int(number)),
        }  # fmt: skip


def obey(verbs, verb, *words):
    if verb not in verbs:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {verb} is no verb of it: {', '.join(verbs)}")
    verbs[verb](*words)
