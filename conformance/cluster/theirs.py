"""One real Hazelcast member from Maven: how it is started, and how large a cluster it sees.

Must not know: how many there are, what they are for.
"""
import json
import urllib.request

from processes import ROOM

NEEDS = [
    "--add-modules", "java.se", "--add-exports", "java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens", "java.base/java.lang=ALL-UNNAMED", "--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens", "java.management/sun.management=ALL-UNNAMED",
    "--add-opens", "jdk.management/com.sun.management.internal=ALL-UNNAMED",
]  # fmt: skip


def mark(port):
    """A word of its command by which it is known."""
    return f"-Djet.port={port}"


def command(port, config, *of_java):
    return [
        "java", *of_java, *NEEDS, mark(port), f"-Dhazelcast.config={config}", "-cp", f"{ROOM / 'java' / 'jars'}/*",
        "com.hazelcast.core.server.HazelcastMemberStarter",
    ]  # fmt: skip


def size_seen_at(port):
    """0: it does not answer, or its cluster is not safe."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hazelcast/health", timeout=2) as answer:
            health = json.load(answer)
        return health["clusterSize"] if health["clusterSafe"] else 0
    except OSError:
        return 0
