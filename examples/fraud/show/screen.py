"""What the show prints: on a terminal lines that stay in place, elsewhere lines now and then."""
import shutil
import sys
import time

WIDTH_MIN, INDENT = 20, 3  # of a terminal; of what is folded
LINE_SECONDS = 5  # between two pairs of lines where nothing stays in place


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def folded(line, width):
    """The line in pieces that a terminal does not break itself."""
    width = max(width, WIDTH_MIN)
    while len(line) > width:
        at = max(line.rfind("  ", INDENT + 1, width), line.rfind(" | ", INDENT + 1, width))
        at = at if at > 0 else width
        yield line[:at]
        line = " " * INDENT + line[at:].lstrip(" |")
    yield line


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
            lines = [part for line in lines for part in folded(line, width)]
            print("\n".join(lines), flush=True)
            self.shown = len(lines)
        elif now or time.monotonic() - self.said_at >= LINE_SECONDS:
            self.said_at = time.monotonic()
            print("\n".join("   " + line for line in lines), flush=True)
