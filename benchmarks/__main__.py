"""`python -m benchmarks`: measure the tables and write the results."""

import argparse
import importlib
import importlib.util
import shlex
import sys
import time
import traceback
from collections.abc import Sequence

from . import machine, plots, report, results
from .gpu import goals
from .results import Budget, Report, Results

MODULES = {
    "engine": "engine.table",
    "avx2": "engine.limited_table",
    "stream": "stream.table",
    "stages": "worker.stages",
    "fields": "worker.fields",
    "latency": "worker.latency",
    "trickle": "worker.trickle",
    "partitions": "worker.partitions",
    "growth": "worker.growth",
    "scaling": "worker.scaling",
    "start": "worker.startup",
}
"""The module of each table. Each has `measure(budget) -> Report`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the tables. Return the exit status: 1 if a table failed."""
    options = _parser().parse_args(arguments)
    tables = options.only.split(",") if options.only else list(report.SECTIONS)
    if unknown := set(tables) - set(MODULES):
        sys.exit(
            f"--only {options.only}: unknown table {', '.join(sorted(unknown))}. Choose from {', '.join(MODULES)}."
        )
    reports, failures = [], []
    for table in tables:
        began = time.monotonic()
        _log(f"{table} …")
        try:
            reports.append(measure_table(table, Budget(quick=options.quick)))
        except Exception as error:  # if one table fails, the minutes spent on the others still count  # noqa: BLE001
            traceback.print_exc()
            failures.append(f"{table}: {type(error).__name__}: {error}")
        _log(f"{table}: {time.monotonic() - began:.0f} s")
    run = _join(reports, failures, options)
    _write(run, stem="quick" if options.quick else "partial" if options.only else "latest")
    return 1 if failures else 0


def measure_table(table: str, budget: Budget) -> Report:
    """Import the module of *table* and measure it."""
    measured: Report = importlib.import_module(f"{__package__}.{MODULES[table]}").measure(budget)
    return measured


def _join(reports: Sequence[Report], failures: Sequence[str], options: argparse.Namespace) -> Results:
    flags = [*(["--quick"] if options.quick else []), *(["--only", options.only] if options.only else [])]
    command = f"python -m benchmarks {shlex.join(flags)}" if options.only else f"make bench{'-quick' * options.quick}"
    return Results(
        machine=machine.describe(),
        command=command.strip(),
        rows=[row for part in reports for row in part.rows],
        goals=[*(goal for part in reports for goal in part.goals), *goals.load_goals()],
        missing=[*(line for part in reports for line in part.missing), *failures],
    )


def _write(run: Results, *, stem: str) -> None:
    results.save(run, results.FOLDER / f"{stem}.json")
    rendered = report.render(run)
    (results.FOLDER / f"{stem}.md").write_text(rendered, encoding="utf-8")
    paths = [results.FOLDER / f"{stem}.json", results.FOLDER / f"{stem}.md"]
    if importlib.util.find_spec("matplotlib"):
        paths += plots.draw(run, results.FOLDER, stem)
    sys.stdout.write(rendered)
    _log("wrote " + ", ".join(path.name for path in paths) + f" in {results.FOLDER}")


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure emotag and write the results.")
    parser.add_argument("--quick", action="store_true", help="a test run of a few minutes; do not quote its figures")
    parser.add_argument("--only", metavar="TABLES", default="", help=f"a comma-separated part of {','.join(MODULES)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
