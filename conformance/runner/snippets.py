#!/usr/bin/env python3
"""Runs the programs of docs/connecting.md as they stand there, but for the cluster's name and address, and compares versions.

Law: what is on the page is what runs. Usage: snippets.py CLUSTER
"""
import os
import re
import shutil
import subprocess
import sys

from players import HERE, ROOM, Cluster, command

PAGE = HERE.parent / "docs/connecting.md"
ENDED_WITHIN = 120
OURS, SAID = "127.0.0.1:5701", "world"
VERSIONS = {
    "Python": ("python/requirements.lock", r"hazelcast-python-client==([\d.]+)"),
    "Node": ("node/package.json", r'"hazelcast-client":\s*"([\d.]+)"'),
    "Go": ("go/go.mod", r"hazelcast-go-client (v[\d.]+)"),
    "Java": ("java/pom.xml", r"<artifactId>hazelcast</artifactId>\s*<version>([\d.]+)<"),
}


def programs(page, address):
    found = dict(re.findall(r"```(\w+)\n(.*?)```", page, re.S))
    return {language: text.replace(OURS, address).replace('"dev"', '"conformance"').replace("'dev'", "'conformance'") for language, text in found.items()}


def runs(room, address):
    """How each language runs a file, and what the file is called."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(HERE / "go" / name, room)
    java = command("java")[:-3]
    return {
        "python": ("connect.py", [command("python")[0], room / "connect.py"], {}),
        "js": ("connect.js", ["node", room / "connect.js"], {"NODE_PATH": str(ROOM / "node/node_modules")}),
        "go": ("connect.go", ["go", "run", "connect.go"], {"GOMODCACHE": str(ROOM / "go/modules"), "GOFLAGS": "-mod=mod"}),
        "java": ("Connect.java", [*java, "-cp", f"{ROOM / 'java/jars'}/*", room / "Connect.java"], {}),
    }


def wrong_versions(page):
    for language, (file, pattern) in VERSIONS.items():
        pinned = re.search(pattern, (HERE / file).read_text())[1]
        if not re.search(rf"\| {language} \|.*\| {re.escape(pinned)} \|", page):
            yield f"{PAGE.name} names another version of the {language} client than {file}: {pinned}"


def trouble(language, file, words, environment, text, room):
    (room / file).write_text(text)
    done = subprocess.run(words, cwd=room, env=os.environ | environment, capture_output=True, text=True, timeout=ENDED_WITHIN)
    # Some clients write their log there too.
    if done.returncode or SAID not in done.stdout.splitlines():
        return f"the {language} program of {PAGE.name} ended with {done.returncode} and said {done.stdout!r}, {SAID!r} was expected: {done.stderr[-1500:]}"
    return None


def main():
    address = Cluster(str(HERE / "cluster" / sys.argv[1])).tell("addresses").split()[0]
    page, room = PAGE.read_text(), ROOM / "snippets"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    said, texts = list(wrong_versions(page)), programs(page, address)
    for language, (file, words, environment) in runs(room, address).items():
        said.append(trouble(language, file, words, environment, texts[language], room))
    said = [each for each in said if each]
    print("\n".join(said) or "the programs of docs/connecting.md run", file=sys.stderr)
    sys.exit(1 if said else 0)


main()
