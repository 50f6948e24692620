"""`python -m benchmarks.gpu`: measure the engine on a GPU and the host's side of the stream, and write the results.

It runs from a checkout in which nothing of emotag is installed. It needs torch, numpy, tokenizers, safetensors and
transformers; the rows of the host also need msgspec and pydantic. It needs no broker and no network.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report, results
from benchmarks.results import Results, Row

from . import goals, parts

if TYPE_CHECKING:
    from .subject import Subject


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results after each part. Return the exit status: 1 if nothing was measured."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sys.path[:0] = map(str, parts.FOLDERS)  # the packages of this checkout, installed or not
    from .subject import NoDevice, Subject

    names = options.only.split(",") if options.only else parts.PARTS
    if unknown := set(names) - set(parts.PARTS):
        parser.error(f"--only {options.only}: unknown part {min(unknown)}. Choose from {', '.join(parts.PARTS)}")
    try:
        subject = Subject(options.device, quick=options.quick)
    except NoDevice as error:
        sys.exit(str(error))
    rows: list[Row] = []
    for more in parts.run_parts(subject, names):
        rows += more
        _write(rows, subject, options)  # a run that is killed keeps its parts
    sys.stdout.write(_write(rows, subject, options))
    return 0 if rows else 1


def _write(rows: Sequence[Row], subject: "Subject", options: argparse.Namespace) -> str:
    """Write the results so far. Return the report."""
    from benchmarks import machine

    described = {**machine.describe(), "device": subject.device_name}
    flags = [*(["--quick"] if options.quick else []), *(["--only", options.only] if options.only else [])]
    run = Results(
        described,
        shlex.join(["python", "-m", "benchmarks.gpu", "--device", options.device, *flags]),
        rows,
        goals.compute_goals(rows) if subject.on_gpu and not options.only else [],
        subject.missing,
    )
    prefix = "quick-" if options.quick else "partial-" if options.only else ""
    stem = f"{prefix}gpu-" + re.sub(r"\W+", "-", subject.device_name).strip("-").lower()
    rendered = report.render(run)
    results.save(run, options.out / f"{stem}.json")
    (options.out / f"{stem}.md").write_text(rendered, encoding="utf-8")
    return rendered


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Measure the engine on a GPU, and the host's side of the stream."
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a test run without a GPU")
    parser.add_argument("--quick", action="store_true", help="a test run of seconds; do not quote its figures")
    parser.add_argument(
        "--only", metavar="PARTS", default="", help=f"a comma-separated part of {','.join(parts.PARTS)}"
    )
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="the folder for the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
