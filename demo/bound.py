"""Physical bounds of a stop and a return: what the kubelets themselves took, from the audit log and their own logs.

  bound.py LOGS NAMESPACE FROM TO stop      first deletion of a member pod asked for → last one confirmed by its kubelet
  bound.py LOGS NAMESPACE FROM TO return    first member pod made → last container seen running by its kubelet
  bound.py LOGS NAMESPACE FROM TO stop.overhead | return.overhead
      what is on top of that: from the person's request at the API server to the status that tells that it is done

Prints seconds. FROM and TO are Unix times between which the operation lay. Law: no clock is read here.
"""
import datetime
import glob
import json
import os
import re
import sys

RUNNING = re.compile(r'pod="(?P<pod>[^"]+)" .*observedRunningTime="(?P<day>\S+) (?P<time>[0-9:]+)(?P<part>\.[0-9]+)? ')


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def requests(logs, namespace, verb, resource="pods", subresource=None):
    """(time of the answer, user) of each such request that was granted in the namespace."""
    for path in glob.glob(os.path.join(logs, "audit*.log")):
        with open(path) as file:
            for text in file:
                if f'"verb":"{verb}"' not in text or f"/namespaces/{namespace}/{resource}" not in text:
                    continue
                event = json.loads(text)
                if event["objectRef"].get("subresource") == subresource and event["responseStatus"].get("code", 0) < 300:
                    yield moment(event["stageTimestamp"]), event["user"]["username"]


def running(logs, namespace):
    for path in glob.glob(os.path.join(logs, "n*-kubelet.log")):
        with open(path) as file:
            for text in file:
                seen = RUNNING.search(text)
                if seen and seen["pod"].startswith(f"{namespace}/"):
                    yield moment(f"{seen['day']}T{seen['time']}+00:00") + float(seen["part"] or 0)


def bound(logs, namespace, within, what):
    controller = "system:serviceaccount:kube-system:statefulset-controller"
    if what == "stop":
        asked = within(time for time, user in requests(logs, namespace, "delete") if user == controller)
        done = within(time for time, user in requests(logs, namespace, "delete") if user.startswith("system:node:"))
    else:
        asked = within(time for time, user in requests(logs, namespace, "create") if user == controller)
        done = within(running(logs, namespace))
    return asked, done


def whole(logs, namespace, within):
    """From a person's change of the JetCluster to the last status before the person was told that it is done."""
    changes = requests(logs, namespace, "patch", "jetclusters")
    told = requests(logs, namespace, "update", "jetclusters", "status")
    return within(time for time, user in changes if not user.startswith("system:")), within(time for time, _ in told)


def main(logs, namespace, start, end, what):
    def within(times):
        return [time for time in times if float(start) <= time <= float(end)]

    def seconds(asked, done):
        if not asked or not done:
            sys.exit(f"bound: no {what} in {namespace} between {start} and {end} in {logs}")
        return max(done) - min(asked)

    kind, _, overhead = what.partition(".")
    took = seconds(*bound(logs, namespace, within, kind))
    print(f"{seconds(*whole(logs, namespace, within)) - took if overhead else took:.2f}")


main(*sys.argv[1:])
