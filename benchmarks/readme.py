"""The README's section on speed, written from the last full run: `python -m benchmarks.readme`."""

from pathlib import Path

from . import gpu_goals, report, results
from .results import Results

README = Path(__file__).parents[1] / "README.md"
LATEST = results.FOLDER / "latest.json"
BEGIN, END = "<!-- performance -->", "<!-- /performance -->"

EMPTY = (
    "`make bench` measures emotag against other libraries and against what the machine can do. No run is recorded yet, "
    "and so no figure is claimed here."
)


def section(found: Results | None) -> str:
    """What stands between the markers: the goals, and the tables of engine and stream; the rest is one link away.

    What was measured on a GPU is another machine's, and its newest run stands here whenever the others were run.
    """
    if found is None:
        return EMPTY
    on_gpu = gpu_goals.newest()
    of_gpu = {goal.name: goal for goal in gpu_goals.recorded()}
    parts = [
        "Every figure is from one run, and every ratio is the median of ratios taken round by round. "
        "[All tables](benchmarks/results/latest.md), [how they are measured](benchmarks/README.md).",
        report.machine(found),
        report.goals([of_gpu.get(goal.name, goal) for goal in found.goals]),
    ]
    for name in ("engine", "stream"):
        if rows := found.table(name):
            parts.append(f"**{report.SECTIONS[name]}**")
            if (results.FOLDER / f"latest-{name}.png").is_file():
                parts.append(f"![{report.SECTIONS[name]}](benchmarks/results/latest-{name}.png)")
            parts.append(report.table(rows))
    if on_gpu is not None:
        rows = [row for row in on_gpu.table("gpu") if row.unit == "texts/s"]
        parts += [f"**{report.HEADINGS['gpu']}: a GPU**", report.machine(on_gpu), report.table(rows)]
    return "\n\n".join(parts)


def replaced(text: str, content: str) -> str:
    """*text* with *content* between its markers.

    Raises:
        ValueError: it does not have both markers, once each.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the README must have {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{content}\n{END}{rest.split(END)[1]}"


def current() -> Results | None:
    """The last full run; None where there is none."""
    return results.load(LATEST) if LATEST.is_file() else None


def write() -> None:
    """Bring the README up to date."""
    README.write_text(replaced(README.read_text(encoding="utf-8"), section(current())), encoding="utf-8")


if __name__ == "__main__":
    write()
