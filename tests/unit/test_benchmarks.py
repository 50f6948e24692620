"""Figures of speed are written, judged and shown as they were measured."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import ceiling, engine_goals, gpu_goals, readme, report, results, rounds
from benchmarks.exports import Exports
from benchmarks.quality import COMPARABLE, judge
from benchmarks.results import Goal, Results, Row
from model import artifact
from model.artifact import Artifact
from model.config import ModelConfig
from model.distilbert_cnn import DistilBertCNN
from training.metrics import cross_fitted_macro_f1

MACHINE = {
    "processor": "A Processor",
    "instructions": ["avx2", "avx512_vnni"],
    "cores": 2,
    "memory_gb": 16.0,
    "os": "Linux",
    "python": "3.11.9",
    "versions": {"torch": "2.11.0"},
    "date": "2026-11-25T10:00:00+00:00",
    "commit": "abc1234",
}
ENGINE = Row("engine", "emotag", 1234.5, "texts/s", 1200.0, 1300.0, 21.5, "the original's way", "fp32")
STREAM = Row("stream", "emotag, exactly once", 987.0, "messages/s", 900.0, 999.0)
START = Row("start", "emotag", 1.25, "s", 1.2, 1.5)


def found(*goals: Goal) -> Results:
    return Results(MACHINE, "make bench", [ENGINE, STREAM, START], goals, ["infinity-emb: not installed"])


def goal(measured: float | None, *, higher_is_better: bool = True) -> Goal:
    least, aim = (1.2, 2.0) if higher_is_better else (5.0, 1.5)
    return Goal("faster", measured, least, aim, higher_is_better, "the reason")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = found(goal(1.5), goal(None))
    results.save(written, tmp_path / "deep" / "latest.json")
    read = results.load(tmp_path / "deep" / "latest.json")
    assert (written.rows, list(written.goals), written.missing) == (read.rows, read.goals, read.missing)
    assert (written.machine, written.command) == (read.machine, read.command)


@pytest.mark.parametrize(
    ("measured", "higher_is_better", "verdict"),
    [
        (2.0, True, "met"),
        (1.2, True, "least met"),
        (1.19, True, "missed"),
        (None, True, "not measurable"),
        (1.5, False, "met"),
        (5.0, False, "least met"),
        (5.1, False, "missed"),
    ],
)
def test_a_goal_says_whether_it_is_met(measured: float | None, higher_is_better: bool, verdict: str) -> None:
    promised = goal(measured, higher_is_better=higher_is_better)
    assert verdict == promised.verdict
    assert f"| {verdict} | the reason |" in report.goals([promised])


def test_a_report_has_every_table_its_ratios_and_what_is_missing() -> None:
    shown = report.render(found(goal(1.5)))
    assert "| emotag | 1,234 texts/s | 1,200 to 1,300 | 21.5 × the original's way | fp32 |" in shown
    for expected in ("A Processor, 2 cores (AVX2, AVX-512 VNNI)", "torch 2.11.0", "commit abc1234", "1.25 s"):
        assert expected in shown
    assert "- infinity-emb: not installed" in shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.01234, "0.0123"), (2, "2.00"), (78.94, "78.9"), (100, "100"), (12345.6, "12,346")]
)
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert shown == report.number(value)


def test_the_readme_says_what_the_last_full_run_found() -> None:
    """`python -m benchmarks.readme` brings it up to date."""
    text = readme.README.read_text(encoding="utf-8")
    assert readme.replaced(text, readme.section(readme.current())) == text


def test_the_readme_section_has_goals_and_both_tables_and_nothing_else_changes() -> None:
    section = readme.section(found(goal(1.5)))
    assert "| faster | 1.50 | 1.20 | 2.00 | least met | the reason |" in section
    assert "| emotag, exactly once |" in section
    assert "1.25 s" not in section
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter"
    assert f"before\n{readme.BEGIN}\n{section}\n{readme.END}\nafter" == readme.replaced(text, section)


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="must have"):
        readme.replaced("no markers", "content")


@pytest.mark.parametrize("lengths", [[7], [3, 11, 30]])
def test_the_work_of_a_forward_is_what_torch_counts(lengths: list[int]) -> None:
    """Text by text, and so without padding."""
    config = ModelConfig(64, 40, 32, 2, 4, 64, labels=("a", "b", "c"), max_tokens=32, channels=16)
    model = DistilBertCNN(config).eval()
    counted = 0
    for length in lengths:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(torch.ones(1, length, dtype=torch.int64), torch.ones(1, length, dtype=torch.bool))
        counted += counter.get_total_flops()
    assert counted == ceiling.flops(config, lengths)


def test_the_shipped_model_needs_22_million_operations_a_token() -> None:
    config = artifact.load(artifact.DEFAULT).config
    assert pytest.approx(21.7e6, rel=0.01) == ceiling.flops(config, [1] * 100) / 100


def test_answers_that_are_a_little_rounded_are_comparable_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    targets_NK = (rng.random((2000, 2)) < 0.2).astype(np.float32)
    reference_NK = np.clip(0.2 + 0.3 * targets_NK + rng.normal(0, 0.1, targets_NK.shape), 0, 1).astype(np.float32)
    rounded_NK = (reference_NK + rng.normal(0, 0.001, targets_NK.shape)).astype(np.float32)
    exact = judge(reference_NK, reference_NK, targets_NK)
    assert (cross_fitted_macro_f1(reference_NK, targets_NK)[0], 0) == (exact.macro_f1, exact.lost)
    rounded = judge(rounded_NK, reference_NK, targets_NK)
    assert rounded.comparable
    assert rounded.lost == pytest.approx(0, abs=COMPARABLE)
    others = judge(rng.random(targets_NK.shape).astype(np.float32), reference_NK, targets_NK)
    assert not others.comparable


def test_without_ratings_answers_are_compared_with_the_reference_alone() -> None:
    reference_NK = np.full((4, 2), 0.5, np.float32)
    assert judge(reference_NK + 0.009, reference_NK, None).comparable
    assert not judge(reference_NK + 0.011, reference_NK, None).comparable


@pytest.mark.parametrize(
    ("precision", "slow", "expected"), [("fp32", "torch", 3), ("fp32", "openvino", 3), ("int8", "torch", 1)]
)
def test_the_ceiling_is_that_of_the_faster_library(
    precision: str, slow: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both multiply in that precision; in int8 it is torch's."""
    done = {"torch": 3, "openvino": 3} | {slow: 1}
    monkeypatch.setattr(ceiling, "_torch", lambda *_: lambda: done["torch"])
    monkeypatch.setattr(ceiling, "_openvino", lambda *_: lambda: done["openvino"])
    monkeypatch.setattr(ceiling, "_rate", lambda rows, inner, columns, multiply, *_: multiply())
    assert expected == ceiling.fastest_matmul_rate(precision, sizes=[(1, 1, 1)])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_matrices_are_multiplied_at_a_rate_that_a_processor_has(precision: str) -> None:
    assert 1e6 < ceiling.fastest_matmul_rate(precision, seconds=0.01, sizes=[(64, 64, 64)]) < 1e15
    with pytest.raises(ValueError, match="fp7"):
        ceiling.fastest_matmul_rate("fp7", seconds=0.01)


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that slows down by half in a round does so for both."""
    assert 2.0 == rounds.median_ratio([200.0, 100.0, 220.0], [100.0, 50.0, 100.0])


def test_every_contender_runs_once_a_round_and_none_always_first() -> None:
    order: list[str] = []

    def place(name: str) -> float:
        order.append(name)
        return float(len(order))

    rates = rounds.interleave({name: partial(place, name) for name in "abc"}, rounds=3, pause_s=0)
    assert list("abcbcacab") == order
    assert {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]} == rates


@pytest.mark.parametrize(
    ("instructions", "measured"),
    [
        (["avx2", "avx512_vnni", "amx_bf16"], [30.0, None]),
        (["avx2", "avx512_vnni"], [None, 30.0]),
        (["avx2"], [None, None]),
    ],
)
def test_the_goal_over_the_original_is_that_of_the_processors_kind(
    instructions: list[str], measured: list[float | None]
) -> None:
    rates = {"emotag": [300.0, 600.0], "the original's way": [10.0, 20.0]}
    goals = engine_goals.original_goals(rates, instructions)
    assert measured == [each.measured for each in goals]
    assert all("30.0 times" in each.why for each in goals if each.measured is None)


def test_a_recorded_run_on_a_gpu_is_held_against_its_goals(tmp_path: Path) -> None:
    assert [None, None] == [each.measured for each in gpu_goals.recorded(tmp_path)]
    rows = [Row("gpu", f"{gpu_goals.LARGE}, {gpu_goals.SHORT}", 4e6, "tokens/s", 4e6, 4e6)]
    run = Results({**MACHINE, "device": "NVIDIA H200"}, "python benchmarks/gpu.py", rows, [], [])
    results.save(run, tmp_path / "gpu-nvidia-h200.json")
    results.save(Results({**MACHINE, "device": "cpu"}, "", [], [], []), tmp_path / "gpu-cpu.json")
    engine, worker = gpu_goals.recorded(tmp_path)
    assert ("least met", "not measurable") == (engine.verdict, worker.verdict)
    assert "NVIDIA H200, 2026-11-25, commit abc1234" in engine.why


def test_an_export_is_made_once_and_one_that_fails_leaves_nothing(tmp_path: Path, shipped_artifact: Artifact) -> None:
    exports = Exports(shipped_artifact, tmp_path)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("graph", encoding="utf-8")

    def fail(path: Path) -> None:
        make(path)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        exports.once("model.onnx", fail)
    assert [] == list(exports.folder.iterdir())
    assert exports.once("model.onnx", make) == exports.once("model.onnx", make)
    assert 2 == len(made)


@pytest.fixture(scope="module")
def shipped_artifact() -> Artifact:
    return artifact.load(artifact.DEFAULT)
