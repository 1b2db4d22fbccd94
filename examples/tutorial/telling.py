"""Tells a story on a terminal, and cleans up after it, whatever ends it.

A story has run(), summary() (whether all that it says is true), announce(text), stay_up() (until
weir ends), and end_all() (weir's exit status).
"""
import shutil
import signal
import sys
import tempfile

from broker import BrokerError


def told(story, may_wait):
    """Runs the story; returns whether all that it says is true."""
    held = False
    try:
        story.run()
        held = story.summary()
        if may_wait and sys.stdin.isatty() and sys.stdout.isatty():
            story.stay_up()
    except BrokerError as error:
        story.announce(f"\nFAILED: {error}")
        held = False
    except KeyboardInterrupt:
        story.announce("\nstopping")
    finally:
        status = story.end_all()
        if status != 0:
            print(f"FAILED: weir ended with {status or 'kill -9, it did not stop when told to'}")
    return held and status == 0


def tell(make, arguments, prefix):
    """The story that make(arguments, folder) makes, in a folder of its own; the exit status."""
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix=prefix)
    try:
        held = told(make(arguments, folder), not arguments.no_wait)
    finally:
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if held else 1
