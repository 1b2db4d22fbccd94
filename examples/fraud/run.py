"""The fraud pipeline, told as it happens: payments come in, are decided, and none is lost.

    build/venv/bin/python examples/fraud/run.py [--plain] [--no-wait] [--rate N] ...

Starts build/weir on free ports with a data folder of its own, declares pipeline.yaml, lets
unmodified clients of Event Grid and Kafka publish payments, and does to it what happens in
production: a spike, killed workers, a model server that is gone, a payment that cannot be read,
kill -9 of weir. Ends with what was claimed and the count of payments and decisions; the exit status
is 0 only if all of it is true. On a terminal weir then stays up until Ctrl-C.
"""
import argparse
import os
import sys

from show.chaos import Chaos
from show.steps import Show
from show.weir import ROOT, tell


def parse_arguments():
    parser = argparse.ArgumentParser(description="weir's fraud pipeline, told as it happens.")
    parser.add_argument("--weir", default=os.path.join(ROOT, "build", "weir"), metavar="PROGRAM")
    parser.add_argument("--rate", type=int, default=500, metavar="N",
                        help="payments a second, and ten times as many in the spike: by default as "
                             "many as two busy cores keep up with, the clients' work included")
    parser.add_argument("--payments", type=int, default=150000, metavar="N",
                        help="so many are prepared at least; the show ends before they are used up")
    parser.add_argument("--steady", type=float, default=8, metavar="SECONDS",
                        help="how long the rate is shown before anything happens")
    parser.add_argument("--spike", type=float, default=4, metavar="SECONDS")
    parser.add_argument("--random", metavar="SEED",
                        help="short: the same faults, at moments that SEED decides")
    parser.add_argument("--twice", action="store_true",
                        help="send every payment and every label twice: it changes nothing")
    parser.add_argument("--slow", action="store_true",
                        help="a slow machine: claim nothing about how long things take")
    parser.add_argument("--plain", action="store_true", help="lines, on a terminal too")
    parser.add_argument("--no-wait", action="store_true", help="stop at the end, on a terminal too")
    parser.add_argument("--keep", action="store_true", help="keep the data folder and the logs")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    os.chdir(ROOT)  # the pipeline's commands are seen from here
    return tell(Chaos if arguments.random else Show, arguments, "weir-fraud-")


if __name__ == "__main__":
    sys.exit(main())
