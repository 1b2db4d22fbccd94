"""The circuit breaker against resilience4j's: the same calls at the same times to both.

A script is a list of lines; both sides print a line for each, which must be equal:

    conf WINDOW SIZE MIN FAILURE% SLOW% SLOW_US PERMITTED OPEN_US NOW_US     a new breaker
    defaults                                                                 likewise
    time US                                                                  later by that much
    acquire | release                       a call begins, or was not made
    success US | failure US                 a call ends that took so long
    force STATE                             a state by hand, where both sides can go there
"""

import os
import random
import subprocess

import broker
import clients

DRIVER = broker.REPOSITORY / "build" / "test" / "wire" / "breaker_driver"
STATES = ["CLOSED", "OPEN", "HALF_OPEN", "DISABLED", "FORCED_OPEN", "METRICS_ONLY"]
STEPS = 400
SCRIPTS = int(os.environ.get("WIRE_BREAKERS", "150"))


def answers(command, script):
    run = subprocess.run(command, input="\n".join(script) + "\n", capture_output=True, text=True,
                         timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def judge(script):
    java = clients.SETUP / "java"
    return answers(["java", "-Xmx128m", "-XX:+UseSerialGC", "-cp",
                    f"{java}/classes:{java}/lib/*", "BreakerJudge"], script)


def weir(script):
    return answers([str(DRIVER)], script)


def configuration(rng):
    window = rng.choice(["count", "time"])
    size = rng.choice([1, 2, 5, 10, 30])
    least = rng.choice([1, 3, 10, 40])
    return (f"conf {window} {size} {least} {rng.choice([1, 33.3, 50, 100])} "
            f"{rng.choice([1, 40, 100])} {rng.choice([1000, 60000000])} "
            f"{rng.choice([1, 2, 5, 10])} {rng.choice([1000, 500000, 60000000])} "
            f"{rng.randrange(10**12)}")


def step(rng, mood):
    """One command. The mood is how often calls fail and how slow they are."""
    kind = rng.random()
    if kind < 0.35:
        return "acquire"
    if kind < 0.4:
        return "release"
    if kind < 0.6:
        return f"time {rng.choice([0, 1, 999, 1000, 250000, 999999, 1000000, 7000000, 60000001])}"
    took = rng.choice([0, 999, 1000, 1001, 60000001]) if rng.random() < mood["slow"] else 10
    return f"{'failure' if rng.random() < mood['failed'] else 'success'} {took}"


def script_of(seed):
    rng = random.Random(seed)
    lines = [configuration(rng)]
    mood = None
    for number in range(STEPS):
        if number % 40 == 0:
            mood = {"failed": rng.choice([0, 0.2, 0.5, 1]), "slow": rng.choice([0, 0.3, 1])}
        forced = rng.random() < 0.02
        lines.append(f"force {rng.choice(STATES)}" if forced else step(rng, mood))
    return lines


def compare(script):
    theirs, ours = judge(script), weir(script)
    assert len(theirs) == len(ours) == len(script)
    for number, (expected, got) in enumerate(zip(theirs, ours)):
        assert got == expected, "\n".join(
            [f"step {number}: resilience4j says '{expected}', weir '{got}'"]
            + [f"    {line:40} {answer}" for line, answer in
               list(zip(script, theirs))[max(0, number - 30):number + 1]])
    return theirs


def test_same_calls_same_states():
    script = [line for seed in range(SCRIPTS) for line in script_of(seed)]
    seen = {line.split()[0] for line in compare(script)}
    assert seen == set(STATES)


def test_same_defaults():
    script = ["defaults"] + ["acquire", "success 60000000"] * 50 + ["acquire", "failure 1"] * 50
    opened = len(script)
    script += ["acquire", "time 60000000", "acquire", "time 1"] + ["acquire"] * 11
    script += ["success 60000001"] * 10 + ["acquire"]
    states = [line.split()[0] for line in compare(script)]
    assert states[opened - 1] == "OPEN"
    assert states[opened + 4] == "HALF_OPEN"
    assert states[-1] == "OPEN"
