"""`python benchmarks/gpu.py` runs from the bare tree; without a GPU it is asked for the processor."""

import subprocess
import sys
from pathlib import Path

from benchmarks import results

ROOT = Path(__file__).parents[2]


def test_it_measures_engine_and_host_and_writes_both(tmp_path: Path) -> None:
    """Run as a file, from another folder, as on a machine where nothing of the project is installed."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "gpu.py"),
        "--device",
        "cpu",
        "--quick",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    found = results.load(tmp_path / "quick-gpu-cpu.json")
    assert [] == found.missing
    assert {"gpu", "host"} == {row.table for row in found.rows}
    assert all(0 < row.low <= row.value <= row.high for row in found.rows)
    assert (tmp_path / "quick-gpu-cpu.md").read_text(encoding="utf-8") == done.stdout
