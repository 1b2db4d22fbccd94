"""What the show prints: on a terminal lines that stay in place, elsewhere lines now and then."""
import shutil
import sys
import time

LINE_SECONDS = 5  # between two pairs of lines where nothing stays in place


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


class Screen:
    def __init__(self, plain):
        self.live = sys.stdout.isatty() and not plain
        self.shown = 0  # lines that stay in place, below all others
        self.said_at = 0

    def clear(self):
        if self.shown:
            print(f"\033[{self.shown}A\033[J", end="")
            self.shown = 0

    def say(self, text=""):
        """A line that stays where it is."""
        self.clear()
        print(text, flush=True)

    def step(self, number_of, text):
        self.say(f"\n{number_of}. {text}")

    def status(self, lines, now=False):
        """The lines of the moment."""
        if self.live:
            self.clear()
            width = shutil.get_terminal_size().columns - 1
            print("\n".join(line[:width] for line in lines), flush=True)
            self.shown = len(lines)
        elif now or time.monotonic() - self.said_at >= LINE_SECONDS:
            self.said_at = time.monotonic()
            print("\n".join("   " + line for line in lines), flush=True)
