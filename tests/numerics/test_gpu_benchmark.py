"""`python -m benchmarks.gpu` runs from a checkout with only the libraries that it names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import results

ROOT = Path(__file__).parents[2]

BARE = """
import json, runpy, sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in missing else super().find_spec(name, path, target)

folders, missing = json.loads(sys.argv.pop(1))
sys.path[:] = [entry for entry in sys.path if entry not in folders]
sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
runpy.run_module("benchmarks.gpu", run_name="__main__", alter_sys=True)
"""
"""Run the benchmark as on a machine where emotag is not installed and some libraries are missing."""

SERVING = ("confluent_kafka", "openvino", "platformdirs", "redis", "structlog", "typer", "rich")
"""Libraries of a worker that a GPU machine may lack."""

MESSAGES = ("msgspec", "pydantic")
"""Libraries that read and write messages."""


def run_bare(out: Path, *options: str, missing: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    folders = [str(ROOT / folder) for folder in ("model", "schemas", "training", "worker")]
    command = [sys.executable, "-c", BARE, json.dumps([folders, missing]), "--quick", "--out", str(out), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_measures_engine_and_host_and_writes_both(tmp_path: Path) -> None:
    done = run_bare(tmp_path, "--device", "cpu", missing=SERVING)
    assert 0 == done.returncode, done.stderr
    run = results.load(tmp_path / "quick-gpu-cpu.json")
    assert [] == run.missing
    assert {"gpu", "host"} == {row.table for row in run.rows}
    assert all(0 < row.low <= row.value <= row.high for row in run.rows)
    assert (tmp_path / "quick-gpu-cpu.md").read_text(encoding="utf-8") == done.stdout


def test_without_the_libraries_of_messages_it_measures_the_engine(tmp_path: Path) -> None:
    done = run_bare(tmp_path, "--device", "cpu", missing=(*SERVING, *MESSAGES))
    assert 0 == done.returncode, done.stderr
    run = results.load(tmp_path / "quick-gpu-cpu.json")
    assert {"gpu"} == {row.table for row in run.rows}
    (reason,) = run.missing
    assert "the host's side of the stream: No module named" in reason


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run_bare(tmp_path, missing=SERVING)
    assert (1, "") == (done.returncode, done.stdout)
    assert "cannot use --device cuda: torch finds no CUDA device" in done.stderr
