"""`python -m benchmarks.gpu`: measure the engine on a GPU and the host's side of the stream, and write the results.

It runs from a checkout in which nothing of emotag is installed. It needs torch, numpy, tokenizers, safetensors and
transformers; the rows of the host also need msgspec and pydantic. It needs no broker and no network.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report, results

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("model", "schemas", "training", "worker")
"""Each folder contains one import package."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results."""
    options = _parser().parse_args(arguments)
    sys.path[:0] = [str(ROOT / folder) for folder in SOURCES]  # the packages of this checkout, installed or not
    from . import table

    try:
        run = table.measure(options.device, quick=options.quick)
    except table.NoDevice as error:
        sys.exit(str(error))
    stem = f"{'quick-' * options.quick}gpu-" + re.sub(r"\W+", "-", run.machine["device"]).strip("-").lower()
    rendered = report.render(run)
    results.save(run, options.out / f"{stem}.json")
    (options.out / f"{stem}.md").write_text(rendered, encoding="utf-8")
    sys.stdout.write(rendered)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Measure the engine on a GPU, and the host's side of the stream."
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a test run without a GPU")
    parser.add_argument("--quick", action="store_true", help="a test run of seconds; do not quote its figures")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="the folder for the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
