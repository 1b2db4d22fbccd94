"""kcat behind the verbs of clients.py; it has no administration beyond -L and -Q."""

import json
import re
import signal
import subprocess
import sys
import threading

from common import input_end, librdkafka_security, main, records_of, say

# kcat does not wait for stored offsets of its own accord: it quits when its input or count ends.
SEPARATOR = "\t"


def login():
    return [word for pair in librdkafka_security().items() for word in ("-X", "=".join(pair))]


def kcat(bootstrap, *args, **more):
    return subprocess.run(
        ["kcat", "-b", bootstrap, *login(), *args], capture_output=True, text=True, timeout=60,
        **more
    )


def checked(done):
    if done.returncode != 0:
        sys.exit(f"kcat ended with {done.returncode}: {done.stderr}")
    return done


def metadata(bootstrap, *args):
    return json.loads(checked(kcat(bootstrap, "-L", "-J", *args)).stdout)


def list_topics(bootstrap, _):
    say(topics=sorted(topic["topic"] for topic in metadata(bootstrap)["topics"]))


def describe_topic(bootstrap, args):
    say(partitions=len(metadata(bootstrap, "-t", args["topic"])["topics"][0]["partitions"]))


def produce(bootstrap, args):
    lines = "".join(f"{key}{SEPARATOR}{value}\n" for key, value in records_of(args))
    partition = ["-p", args["partition"]] if "partition" in args else []
    # -vv reports each delivery: "% Message delivered to partition 0 (offset 7)"
    done = checked(kcat(
        bootstrap, "-P", "-t", args["topic"], "-K", SEPARATOR, "-H", f"wire={args['name']}",
        "-X", f"compression.codec={args['codec']}", "-X", "linger.ms=50",
        "-X", f"enable.idempotence={args.get('idempotent', 'false')}", "-T", "-vv", *partition,
        input=lines
    ))
    for where in re.finditer(r"delivered to partition (\d+) \(offset (\d+)\)", done.stderr):
        say(partition=int(where[1]), offset=int(where[2]))


def record_of(line):
    found = json.loads(line)
    flat = found.get("headers", [])
    return {
        "topic": found["topic"], "partition": found["partition"], "offset": found["offset"],
        "timestamp": found["ts"], "key": found["key"], "value": found["payload"],
        "headers": [[flat[at], flat[at + 1]] for at in range(0, len(flat), 2)],
    }


def read(bootstrap, args, offset):
    done = checked(kcat(
        bootstrap, "-C", "-J", "-u", "-t", args["topic"], "-p", args["partition"], "-o", offset,
        "-c", args["count"]
    ))
    for line in done.stdout.splitlines():
        say(**record_of(line))


def consume(bootstrap, args):
    read(bootstrap, args, args["offset"])


def seek(bootstrap, args):
    where = f"{args['topic']}:{args['partition']}:{args['timestamp']}"
    done = checked(kcat(bootstrap, "-Q", "-t", where))
    found = re.search(r"\[\d+\] offset (-?\d+)", done.stdout)
    say(offset=int(found[1]))
    read(bootstrap, args, f"s@{args['timestamp']}")


def watch_rebalances(stream, status):
    """"% Group g rebalanced (memberid ...): assigned: t [0], t [1]", or "revoked: ..."."""
    for line in stream:
        found = re.search(r"rebalanced \(.*?\): (assigned|revoked): ?(.*)", line)
        if found:
            named = re.findall(r"(\S+) \[(\d+)\]", found[2] if found[1] == "assigned" else "")
            say(event="assigned", partitions=[[name, int(part)] for name, part in named])
        elif "ERROR" in line and "Broker transport" not in line:
            status.append(line)


def group(bootstrap, args):
    ended, errors = input_end(), []
    more = ["-X", f"group.instance.id={args['instance']}"] if "instance" in args else []
    running = subprocess.Popen(
        ["kcat", "-b", bootstrap, *login(), "-G", args["group"], "-J", "-u",
         "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
         "-X", "heartbeat.interval.ms=500", "-X", "auto.commit.interval.ms=200",
         "-X", f"partition.assignment.strategy={args.get('strategy', 'range')}", *more,
         *args["topics"].split(",")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    threading.Thread(target=watch_rebalances, args=(running.stderr, errors), daemon=True).start()

    def leave():
        ended.wait()
        running.send_signal(signal.SIGTERM)

    threading.Thread(target=leave, daemon=True).start()
    for line in running.stdout:
        say(**record_of(line), event="record")
    status = running.wait()
    if status != 0 or errors:
        sys.exit(f"kcat ended with {status}: {errors}")
    say(event="closed")


main({
    "list-topics": list_topics,
    "describe-topic": describe_topic,
    "produce": produce,
    "consume": consume,
    "seek": seek,
    "group": group,
})
