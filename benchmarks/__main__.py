"""`python -m benchmarks`: run the tables, write what they found."""

import argparse
import importlib
import importlib.util
import shlex
import sys
import time
import traceback
from collections.abc import Sequence

from . import gpu_goals, machine, plots, readme, report, results
from .results import Budget, Report, Results

TABLES = tuple(report.SECTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status, which is 1 where a table could not be measured."""
    asked = _parser().parse_args(arguments)
    asked_for = asked.only.split(",") if asked.only else list(TABLES)
    if unknown := set(asked_for) - set(TABLES):
        sys.exit(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    reports, failed = [], []
    for table in asked_for:
        if importlib.util.find_spec(f"{__package__}.{table}") is None:
            failed.append(f"{table}: there is no benchmarks/{table}.py")
            continue
        began = time.monotonic()
        _say(f"{table} …")
        try:
            reports.append(_measure(table, Budget(quick=asked.quick)))
        except Exception as error:  # one table's trouble does not cost the others their minutes  # noqa: BLE001
            traceback.print_exc()
            failed.append(f"{table}: {type(error).__name__}: {error}")
        _say(f"{table}: {time.monotonic() - began:.0f} s")
    found = _gathered(reports, failed, asked)
    _write(found, stem="quick" if asked.quick else "partial" if asked.only else "latest")
    return 1 if failed else 0


def _measure(table: str, budget: Budget) -> Report:
    found: Report = importlib.import_module(f"{__package__}.{table}").measure(budget)
    return found


def _gathered(reports: Sequence[Report], failed: Sequence[str], asked: argparse.Namespace) -> Results:
    flags = [*(["--quick"] if asked.quick else []), *(["--only", asked.only] if asked.only else [])]
    command = f"python -m benchmarks {shlex.join(flags)}" if asked.only else f"make bench{'-quick' * asked.quick}"
    return Results(
        machine=machine.describe(),
        command=command.strip(),
        rows=[row for found in reports for row in found.rows],
        goals=[*(goal for found in reports for goal in found.goals), *gpu_goals.recorded()],
        missing=[*(line for found in reports for line in found.missing), *failed],
    )


def _write(found: Results, *, stem: str) -> None:
    results.save(found, results.FOLDER / f"{stem}.json")
    rendered = report.render(found)
    (results.FOLDER / f"{stem}.md").write_text(rendered, encoding="utf-8")
    written = [results.FOLDER / f"{stem}.json", results.FOLDER / f"{stem}.md"]
    if importlib.util.find_spec("matplotlib"):
        written += plots.draw(found, results.FOLDER, stem)
    if stem == "latest":
        readme.write()
    sys.stdout.write(rendered)
    _say("wrote " + ", ".join(path.name for path in written) + f" in {results.FOLDER}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write what was found.")
    parser.add_argument("--quick", action="store_true", help="within two minutes, to see that it works")
    parser.add_argument("--only", metavar="TABLES", default="", help=f"some of {','.join(TABLES)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
