"""Tables and the plot of a benchmark's results. What is printed is what results.json holds."""
import os

# Figure, what it is, unit, digits behind the point, whether more is better (None: neither).
ROWS = (
    ("produce_rate", "produce, acks=all", "records/s", 0, True),
    ("produce_server_cpu", "  server CPU", "s per million", 2, False),
    ("produce_client_cpu", "  client CPU", "s per million", 2, None),
    ("many_rate", "produce, {partitions:,} partitions", "records/s", 0, True),
    ("many_share", "  of the rate with 1", "%", 0, True),
    ("fetch_rate", "fetch, librdkafka", "records/s", 0, True),
    ("fetch_server_cpu", "  server CPU", "s per million", 2, False),
    ("sink_rate", "fetch into a sink", "records/s", 0, True),
    ("sink_server_cpu", "  server CPU", "s per million", 2, False),
    ("sink_share", "  of what loopback carries", "%", 0, True),
    ("latency_ack_p50", "at {rate:,}/s: acknowledged p50", "ms", 2, False),
    ("latency_ack_p99", "  p99", "ms", 2, False),
    ("latency_e2e_p50", "at {rate:,}/s: received p50", "ms", 2, False),
    ("latency_e2e_p99", "  p99", "ms", 2, False),
    ("latency_server_cpu", "  server CPU", "s per million", 2, False),
    ("single_ack_p50", "one at a time: acknowledged p50", "ms", 2, False),
    ("single_ack_p99", "  p99", "ms", 2, False),
    ("single_e2e_p50", "one at a time: received p50", "ms", 2, False),
    ("single_e2e_p99", "  p99", "ms", 2, False),
    ("first_ms", "start to first acknowledged produce", "ms", 1, False),
    ("idle_rss", "idle memory, resident", "MB", 1, False),
    ("idle_pss", "  proportional", "MB", 1, False),
    ("idle_anonymous", "  anonymous", "MB", 1, False),
    ("loaded_rss", "memory after the load, resident", "MB", 1, False),
    ("loaded_anonymous", "  anonymous", "MB", 1, False),
    ("binary_mb", "program", "MB", 2, False),
)

COLOURS = {"floor": "#8a8f98", "weir": "#1f6feb", "weir-2": "#79b0ff", "kafka": "#c2571a",
           "kafka-flush": "#e8a33d"}

# Title, unit, digits, figures (one panel each of the plot).
PANELS = (
    ("Produce, acks=all", "thousand records/s", "produce_rate", 1e-3, 0),
    ("Server CPU of produce", "seconds per million records", "produce_server_cpu", 1, 2),
    ("Fetch into a sink", "thousand records/s", "sink_rate", 1e-3, 0),
    ("Acknowledged at a fixed rate, p99", "ms", "latency_ack_p99", 1, 2),
    ("Received at a fixed rate, p99", "ms", "latency_e2e_p99", 1, 2),
    ("Start to first acknowledged produce", "ms", "first_ms", 1, 1),
    ("Idle memory, resident", "MB", "idle_rss", 1, 1),
    ("Produce over many partitions", "thousand records/s", "many_rate", 1e-3, 0),
)


def with_shares(results):
    """The medians, and the two figures that are made of others."""
    carried = results["machine"].get("loopback_mb_per_second")
    found = {}
    for name, figures in results["medians"].items():
        figures = dict(figures)
        if figures.get("produce_rate") and "many_rate" in figures:
            figures["many_share"] = 100 * figures["many_rate"] / figures["produce_rate"]
        if carried and "sink_mb" in figures:
            figures["sink_share"] = 100 * figures["sink_mb"] / carried
        found[name] = figures
    return found


def ratios_of(names):
    """Which pairs of servers are set against each other."""
    return [("weir", other) for other in names if other != "weir"] if "weir" in names else []


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def ratio(a, b):
    if not a or not b:
        return "-"
    if a / b < 0.1:
        return f"1/{b / a:,.0f}"
    return f"{a / b:.2f}x" if a / b < 10 else f"{a / b:,.0f}x"


def table(results):
    """Header and rows of strings."""
    figures = with_shares(results)
    names = list(figures)
    pairs = ratios_of(names)
    head = ["", "unit", *names, *(f"{a} / {b}" for a, b in pairs)]
    rows = []
    for key, label, unit, digits, better in ROWS:
        values = {name: figures[name].get(key) for name in names}
        if all(value is None for value in values.values()):
            continue
        row = [label.format(**results["config"]), unit]
        row += [number(values[name], digits) for name in names]
        row += ["" if better is None or unit == "%" else ratio(values[a], values[b])
                for a, b in pairs]
        rows.append(row)
    return head, rows


def terminal(results):
    head, rows = table(results)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def markdown_table(head, rows):
    # A non-breaking indent keeps a row's relation to the one above it.
    def line(cells):
        return "| " + " | ".join(cell.replace("  ", "&emsp;") for cell in cells) + " |\n"
    marks = "|" + "|".join([" --- ", " --- "] + [" ---: "] * (len(head) - 2)) + "|\n"
    return line(head) + marks + "".join(line(row) for row in rows)


DOCUMENT = """# Benchmarks

Written by `make bench DOCS=1` ({when}); `bench/README.md` says how each figure is
measured and what it leaves out.

![The figures as bars](benchmarks.svg)

## The machine

- {cpus} x {cpu}, {memory_gb:.0f} GB, Linux {kernel}
- data on {file_system} ({device}): append of 4 KB and fdatasync p50 {sync_4k_p50_us:,.0f} us,
  p99 {sync_4k_p99_us:,.0f} us; 1 MB pieces, each synced, {stream_mb_per_second:,.0f} MB/s
- one TCP connection over loopback carries {loopback_mb_per_second:,.0f} MB/s
- {pinning}

## What each side promises

{durability}
The floor is the least that reads frames, appends, syncs once a turn and answers: nothing that keeps
the same promise can be much faster.

## The figures

Records of {size:,} bytes, one topic of one partition, one librdkafka producer (linger 5 ms, batches
up to 1 MB); medians of {runs} rounds of {seconds} s, the servers taking turns. At the fixed rate
{burst} records are due at a time, linger is 0, and delays count from the instant at which a record
was due.

{table}
To repeat this: `make bench PEER=kafka,kafka-flush RUNS={runs} SECONDS={seconds}`.
"""


def document(results):
    head, rows = table(results)
    promises = "".join(f"- **{name}**: {text}\n" for name, text in results["durability"].items())
    pinned = results["config"]["pinned"]
    pinning = ("the server is bound to CPU 0, the client to CPU 1" if pinned
               else "servers and client share all CPUs")
    return DOCUMENT.format(when=results["when"], durability=promises, pinning=pinning,
                           table=markdown_table(head, rows), **results["machine"],
                           **results["config"])


# ---- the plot ----

PANEL_WIDTH, BAR, GAP, LABEL, VALUE = 440, 20, 6, 84, 70


def panel(x, y, title, unit, bars, label=LABEL):
    """bars: (name, value, text). Returns SVG and the height."""
    room = PANEL_WIDTH - LABEL - VALUE
    longest = max(value for _, value, _ in bars) or 1
    out = [f'<text x="{x}" y="{y + 14}" class="title">{title}</text>',
           f'<text x="{x}" y="{y + 30}" class="unit">{unit}</text>']
    at = y + 40
    for name, value, text in bars:
        width = max(1.0, room * value / longest)
        middle = at + BAR / 2 + 4
        out.append(f'<text x="{x + label - 6}" y="{middle}" class="name">{name}</text>')
        out.append(f'<rect x="{x + label}" y="{at}" width="{width:.1f}" height="{BAR}" '
                   f'fill="{COLOURS.get(name, "#666666")}"/>')
        out.append(f'<text x="{x + label + width + 6:.1f}" y="{middle}">{text}</text>')
        at += BAR + GAP
    return out, at - y


def drawing(parts, width, height):
    style = ("text{font-family:sans-serif;font-size:12px;fill:#24292f}"
             ".title{font-weight:bold;font-size:14px}.unit{fill:#6e7781;font-size:11px}"
             ".name{text-anchor:end}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n<style>{style}</style>\n'
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def svg(results):
    figures = with_shares(results)
    out, column_y = [], [20, 20]
    for title, unit, key, factor, digits in PANELS:
        bars = [(name, f[key] * factor, number(f[key] * factor, digits))
                for name, f in figures.items() if f.get(key) is not None]
        if not bars:
            continue
        column = 0 if column_y[0] <= column_y[1] else 1
        part, height = panel(20 + column * (PANEL_WIDTH + 30), column_y[column], title, unit, bars)
        out += part
        column_y[column] += height + 22
    return drawing(out, 2 * PANEL_WIDTH + 70, max(column_y))


def write_docs(results, folder):
    os.makedirs(folder, exist_ok=True)
    for name, text in (("benchmarks.md", document(results)), ("benchmarks.svg", svg(results))):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
