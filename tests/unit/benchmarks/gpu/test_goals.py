"""The goals for a GPU come from the newest recorded run on one."""

from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.gpu import goals
from benchmarks.results import Results, Row


def test_a_recorded_run_on_a_gpu_is_compared_with_its_goals(tmp_path: Path, machine: dict[str, Any]) -> None:
    assert [None, None] == [goal.measured for goal in goals.load_goals(tmp_path)]
    rows = [Row("gpu", f"{goals.LARGE}, {goals.SHORT}", 4e6, "tokens/s", 4e6, 4e6)]
    run = Results({**machine, "device": "NVIDIA H200"}, "python -m benchmarks.gpu", rows, [], [])
    results.save(run, tmp_path / "gpu-nvidia-h200.json")
    results.save(Results({**machine, "device": "cpu"}, "", [], [], []), tmp_path / "gpu-cpu.json")
    engine, worker = goals.load_goals(tmp_path)
    assert ("least met", "not measurable") == (engine.verdict, worker.verdict)
    assert "NVIDIA H200, 2026-11-25, commit abc1234" in engine.why
