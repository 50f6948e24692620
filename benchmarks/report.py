"""Results as Markdown: one table a section, the goals, and the machine they hold for."""

from collections.abc import Sequence

from .results import Goal, Results, Row

SECTIONS = {
    "engine": "The engine: texts to probabilities, no stream",
    "stream": "The stream: topic to topic",
    "stages": "Where a message's time goes",
    "latency": "How long a message takes",
    "growth": "How it grows",
    "scaling": "More workers",
    "start": "Start and memory",
}
"""Each table's heading, in the order in which they are run and shown."""

HEADINGS = {**SECTIONS, "gpu": "The engine on the device", "host": "The host beside it, without a broker"}

ABBREVIATIONS = {"avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "AVX-512 bf16"}


def render(results: Results) -> str:
    """The whole report."""
    parts = ["# What was measured", machine(results), *([goals(results.goals)] if results.goals else [])]
    for name, heading in HEADINGS.items():
        if rows := results.table(name):
            parts.append(f"## {heading}")
            parts.append(table(rows))
    if results.missing:
        parts.append("## Not run")
        parts.append("\n".join(f"- {line}" for line in results.missing))
    return "\n\n".join(parts) + "\n"


def machine(results: Results) -> str:
    """One paragraph: where, when, with which versions, by which command."""
    found = results.machine
    instructions = ", ".join(ABBREVIATIONS.get(name, name.replace("_", "-").upper()) for name in found["instructions"])
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    cores = f"{found['cores']} cores ({instructions or 'no matrix instructions'})"
    device = f"{found['device']}, " if "device" in found else ""
    when = f"{found['date'][:10]}, commit {found['commit'] or 'unknown'}"
    return (
        f"`{results.command}` on {found['processor']}, {cores}, {found['memory_gb']:g} GB, {device}{when}. "
        f"{found['os']}, Python {found['python']}, {versions}."
    )


def table(rows: Sequence[Row]) -> str:
    """The rows of one section. The range is that of the repeats; the ratio is the median of theirs."""
    lines = ["| what | median | range | ratio | |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{number(row.ratio)} × {row.against}"
        lines.append(
            f"| {row.name} | {number(row.value)} {row.unit} | {number(row.low)} to {number(row.high)} "
            f"| {ratio} | {row.note} |"
        )
    return "\n".join(lines)


def goals(promised: Sequence[Goal]) -> str:
    """Every goal, and whether it was reached."""
    lines = ["| goal | measured | least | goal | | |", "|---|---|---|---|---|---|"]
    for goal in promised:
        measured = "" if goal.measured is None else number(goal.measured)
        lines.append(
            f"| {goal.name} | {measured} | {number(goal.least)} | {number(goal.goal)} | {goal.verdict} | {goal.why} |"
        )
    return "\n".join(lines)


def number(value: float) -> str:
    """Three significant figures, whole from a hundred on, with separators: 0.0123, 4.56, 78.9, 12,345."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}".rstrip(".")
