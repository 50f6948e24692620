"""Random batches through the native engine, compiled with AddressSanitizer and UBSan.

    python -m tests.fuzz.native LIBRARY SECONDS

runs in a process in which the sanitizers are loaded; `run` starts it.
"""

import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
LENGTHS = (1, 2, 5, 6, 7, 15, 16, 17, 40, 48, 49, 128, 512)


def import_build_script() -> Any:
    """Return `hatch_build.py` as a module."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder: Path, *, seconds: float) -> subprocess.CompletedProcess[str]:
    """Compile the library in *folder* and compute batches for some seconds; without a finding, the exit code is 0."""
    build = import_build_script()
    build.compile_library(ROOT, folder / "sanitized.so", build.SANITIZERS)
    asan = subprocess.run(
        [*build.find_compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.native", str(folder / "sanitized.so"), str(seconds)],
        cwd=ROOT,
        # Python itself frees little at its end.
        env={**os.environ, "LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
    )


def _compute(file: Path, seconds: float) -> None:
    from emotag_model import artifact
    from emotag_model.engines.native import library
    from emotag_model.engines.native.engine import NativeEngine

    loaded = library.load(file)
    library.load = lambda: loaded  # type: ignore[assignment]
    shipped = artifact.load(artifact.DEFAULT)
    engine, words, rng = NativeEngine(shipped), shipped.config.vocab_size, random.Random()
    refused, batches, give_up_at = 0, 0, time.monotonic() + seconds
    while time.monotonic() < give_up_at or not refused:
        rows = [[rng.randrange(words) for _ in range(rng.choice(LENGTHS))] for _ in range(rng.randint(1, 5))]
        wrong: list[int] = rng.choice(([], [words], [-1], [2**31 - 1], [-(2**31)], [5] * 513))
        if batches % 3 == 0:
            rows.insert(rng.randint(0, len(rows)), wrong)
            try:
                engine.probabilities(rows)
            except ValueError:
                refused += 1
            else:
                raise AssertionError(f"computed a text with {wrong[:1]}, {len(wrong)} tokens")
        else:
            probabilities_BK, maxima = engine.explain(rows)
            assert np.isfinite(probabilities_BK).all()
            assert (maxima.positions_BF < np.array([[len(row)] for row in rows])).all()
        batches += 1
    sys.stdout.write(f"Done {batches} batches, {refused} of them refused\n")


if __name__ == "__main__":
    _compute(Path(sys.argv[1]), float(sys.argv[2]))
