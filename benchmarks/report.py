"""Results as Markdown: the machine, the goals, and a table for each section."""

from collections.abc import Sequence

from .intervals import Interval
from .results import PerformanceGoal, Results, Row

SECTIONS = {
    "engine": "The engine: texts to probabilities, no stream",
    "avx2": "The engine, limited to AVX2",
    "stream": "The stream: topic to topic",
    "stages": "Time per message, by stage",
    "fields": "The cost of scope, language and corrected spelling",
    "latency": "Latency of a message",
    "trickle": "Cost of a trickle",
    "partitions": "One hot partition",
    "growth": "Growth with length, backlog and batch",
    "scaling": "More workers",
    "start": "Start and memory",
}
"""The heading of each table, in the order in which the tables are measured and shown."""

COST = "cost"
"""The second table of `stream`."""

HEADINGS = {
    **{name: SECTIONS[name] for name in ("engine", "avx2", "stream")},
    COST: "The cost of the worker: the same engine in all",
    **SECTIONS,
    "gpu": "The engine on the device",
    "kernels": "The device's time by kernel",
    "plans": "Tokens of a device batch, and calls in flight",
    "candidates": "Candidate kernels",
    "bits": "A text's bits on a GPU",
    "host": "The host, without a broker",
    "processes": "Several worker processes, without a broker",
}
"""The heading of each table that a run may have, in the order in which the report shows them."""

INTRODUCTION = (
    "All figures are from one run. The median and the range are over its rounds; a ratio is the median of the ratios "
    "of each round, with its 95 % bootstrap interval in parentheses. If the interval contains 1, the row is a tie. "
    "[How each table is measured](../README.md)."
)

NOTES = {
    "engine": "All rows have emotag's weights. Each ratio of emotag is to the best other library of comparable "
    "quality; each other ratio is to emotag. `the reference's way` runs the model as the notebook of "
    "[burning-phoenix/GoEmotions](https://github.com/burning-phoenix/GoEmotions) does (emotag's model is based on "
    "that one): in float32, 32 texts at a time in their order, each padded to 128 tokens.",
    "avx2": "The same processor and run. All libraries were limited to the instructions of older processors: "
    "`ONEDNN_MAX_CPU_ISA`, `CT2_FORCE_CPU_ISA` and `ATEN_CPU_CAPABILITY` for the libraries, `EMOTAG_NATIVE_PATH` for "
    "emotag's own kernels. onnxruntime has no such limit, so it is not in this table.",
    "stream": "`do it yourself` is a loop over confluent-kafka with transactions, as its documentation recommends, and "
    "with the fastest other engine at its best batch size. It has no cache.",
    COST: "All rows run emotag's engine, so they differ only in the stream around it.",
}
"""Explanations above a table."""

ABBREVIATIONS = {"avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "AVX-512 bf16"}


def render(results: Results) -> str:
    """Return the whole report."""
    parts = ["# Benchmark results", render_machine(results), INTRODUCTION]
    if results.goals:
        parts += ["## Goals", render_goals(results.goals)]
    for name, heading in HEADINGS.items():
        if rows := results.table(name):
            parts.append(f"## {heading}")
            if name in NOTES:
                parts.append(NOTES[name])
            parts.append(render_table(rows))
    if results.missing:
        parts.append("## Not run")
        parts.append("\n".join(f"- {line}" for line in results.missing))
    return "\n\n".join(parts) + "\n"


def render_machine(results: Results) -> str:
    """Return one paragraph: command, machine, date, commit and versions."""
    described = results.machine
    instructions = ", ".join(
        ABBREVIATIONS.get(name, name.replace("_", "-").upper()) for name in described["instructions"]
    )
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    cores = f"{described['cores']} cores ({instructions or 'no matrix instructions'})"
    device = f"{described['device']}, " if "device" in described else ""
    when = f"{described['date'][:10]}, commit {described['commit'] or 'unknown'}"
    return (
        f"`{results.command}` on {described['processor']}, {cores}, {described['memory_gb']:g} GB, {device}{when}. "
        f"{described['os']}, Python {described['python']}, {versions}."
    )


def render_table(rows: Sequence[Row]) -> str:
    """Return the rows of one section. The range is over the repeats, and the ratio is the median over the repeats."""
    lines = ["| row | median | range | ratio | |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{format_number(row.ratio)} × {row.against}"
        ratio += format_interval(row.ratio_low, row.ratio_high, tie=True)
        spread = f"{format_number(row.low)} to {format_number(row.high)}"
        lines.append(f"| {row.name} | {format_number(row.value)} {row.unit} | {spread} | {ratio} | {row.note} |")
    return "\n".join(lines)


def render_goals(goals: Sequence[PerformanceGoal]) -> str:
    """Return a table of the goals, with a verdict for each."""
    lines = ["| goal | measured | least | goal | | |", "|---|---|---|---|---|---|"]
    for goal in goals:
        measured = "" if goal.measured is None else format_number(goal.measured)
        measured += format_interval(goal.low, goal.high, tie=False)
        bounds = f"{format_number(goal.least)} | {format_number(goal.goal)}"
        lines.append(f"| {goal.name} | {measured} | {bounds} | {goal.verdict} | {goal.why} |")
    return "\n".join(lines)


def format_interval(low: float | None, high: float | None, *, tie: bool) -> str:
    """Return ` (1.31 to 1.45)`, and mark a tie if *tie* asks for that; nothing without an interval."""
    if low is None or high is None:
        return ""
    marked = ": a tie" if tie and Interval(low, high).is_tie else ""
    return f" ({format_number(low)} to {format_number(high)}){marked}"


def format_number(value: float) -> str:
    """Return three significant figures, or a whole number from 100 on: 0.0123, 4.56, 78.9, 12,345."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}".rstrip(".")
