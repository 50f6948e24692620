"""`python -m benchmarks.gpu` runs from a checkout with only the libraries that it names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.gpu.parts import FOLDERS

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


@pytest.mark.parametrize(
    ("parts", "tables", "name"),
    [
        ("kernels,plans,host", {"kernels", "plans", "host"}, "tiny, real lengths, calls of 256 texts, 2 in flight"),
        ("processes", {"processes"}, "2 processes"),
        ("bits,candidates", {"bits", "candidates"}, "tiny, residual and norm, candidate"),
        ("engine", {"gpu"}, "tiny, real lengths, transformers compiled"),
    ],
)
def test_every_part_runs_and_is_written(tmp_path: Path, parts: str, tables: set[str], name: str) -> None:
    done = run_bare(tmp_path, "--device", "cpu", "--only", parts, missing=SERVING)
    assert 0 == done.returncode, done.stderr
    run = results.load(tmp_path / "quick-gpu-cpu.json")
    assert [] == run.missing
    assert tables == {row.table for row in run.rows}
    assert all(0 < row.low <= row.value <= row.high for row in run.rows if row.table != "bits")
    assert name in {row.name for row in run.rows}
    assert (tmp_path / "quick-gpu-cpu.md").read_text(encoding="utf-8") == done.stdout


def test_without_the_libraries_of_messages_it_measures_the_other_parts(tmp_path: Path) -> None:
    """A part that fails is reported, and the next one runs."""
    done = run_bare(tmp_path, "--device", "cpu", "--only", "host,bits", missing=(*SERVING, *MESSAGES))
    assert 0 == done.returncode, done.stderr
    run = results.load(tmp_path / "quick-gpu-cpu.json")
    assert {"bits"} == {row.table for row in run.rows}
    (reason,) = run.missing
    assert reason.startswith("host: ModuleNotFoundError: No module named")


def test_it_needs_no_library_that_detects_languages() -> None:
    code = "import fasttext; print(fasttext.__file__)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(FOLDERS[-1] / "fasttext.py")


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run_bare(tmp_path, missing=SERVING)
    assert (1, "") == (done.returncode, done.stdout)
    assert "cannot use --device cuda: torch finds no CUDA device" in done.stderr


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    done = run_bare(tmp_path, "--only", "engine,rocket", missing=SERVING)
    assert 2 == done.returncode
    assert "--only engine,rocket: unknown part rocket. Choose from kernels," in done.stderr
