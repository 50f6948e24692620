"""Every engine gives what the reference forward gives, whatever stands beside a text."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model import choice, openvino_engine
from model.artifact import Artifact
from model.choice import FAR_BEHIND, WORTH, WORTH_TORCH, choose, measure_ms
from model.device import DeviceUnknown
from model.distilbert_cnn import DistilBertCNN
from model.engine import Engine, open_engine, possible
from model.int8 import tolerable
from model.tokens import Tokens, pad
from worker.demo import sample_texts

ROOT = Path(__file__).parents[2]
ON_SOME = [("openvino", "bf16"), ("openvino", "int8")]
ON_A_CPU = [("openvino", "fp32"), ("torch", "fp32"), ("torch", "bf16"), ("torch", "fp16"), ("torch", "int8")]
EXACT = [candidate for candidate in ON_A_CPU if candidate[1] == "fp32"]
Rows = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> Rows:
    """The sample texts, one of a single word, and one as long as the model's window."""
    texts = [*sample_texts()[:60], "yes", "thank you so much " * 60]
    return [text.ids for text in Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)(texts)]


@torch.inference_mode()
def reference(trained: Artifact, rows: Rows) -> npt.NDArray[np.float32]:
    """Each text alone through the reference forward: no padding, no neighbours."""
    model = DistilBertCNN.of(trained.config, trained.weights)
    found = []
    for row in rows:
        ids_BL, mask_BL = pad([row], pad_id=0)
        found.append(torch.sigmoid(model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)))[0].numpy())
    return np.stack(found)


def open_(trained: Artifact, candidate: tuple[str, str]) -> Engine:
    engine, precision = candidate
    return open_engine(trained, engine=engine, device="cpu", precision=precision)


@pytest.fixture(scope="module")
def expected(shipped: Artifact, rows: Rows) -> npt.NDArray[np.float32]:
    return reference(shipped, rows)


@pytest.mark.parametrize("candidate", EXACT, ids="/".join)
def test_in_fp32_it_equals_the_reference(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], candidate: tuple[str, str]
) -> None:
    """To 1e-5, the longest and the shortest texts included."""
    assert np.abs(expected - open_(shipped, candidate).probabilities(rows)).max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_low_precision_decisions_are_the_references(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], precision: str
) -> None:
    """But for scores within 1e-2 of their threshold."""
    found = open_(shipped, ("torch", precision)).probabilities(rows)
    thresholds_K = np.array(shipped.thresholds.values)
    clear = np.abs(expected - thresholds_K) > 1e-2
    assert np.array_equal((expected >= thresholds_K)[clear], (found >= thresholds_K)[clear])


def test_int8_gives_what_its_imitation_gives(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose cost in quality stands in the artifact.

    Without VNNI or AMX a processor cuts off some sums and is refused; here it may show that little else is wrong.
    """
    exact = possible("openvino", "int8")
    if not exact:
        with pytest.raises(DeviceUnknown, match="int8"):
            open_(shipped, ("openvino", "int8"))
        monkeypatch.setattr(openvino_engine, "instructions", lambda: ["avx512_vnni"])
    imitated = open_(shipped, ("torch", "int8")).probabilities(rows)
    found = open_(shipped, ("openvino", "int8")).probabilities(rows)
    assert np.abs(expected - imitated).mean() < 2e-3
    off = np.abs(found - imitated).mean()
    assert off < (5e-4 if exact else 2e-3)
    assert off < np.abs(found - expected).mean()  # nearer to what it imitates than to what it rounds


def test_a_relative_path_is_measured_too(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever folder the worker was started in."""
    monkeypatch.setattr(choice, "PATIENCE_S", 120.0)
    assert shipped.path is not None
    monkeypatch.chdir(shipped.path.parent)
    relative = replace(shipped, path=Path(shipped.path.name))
    assert "measured" == chosen(relative, engine="torch", precision="auto").how


def test_what_cannot_be_measured_is_said_so(shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_measured", lambda *_: {})
    found = chosen(shipped)
    assert ("unmeasured", "openvino", "fp32") == (found.how, found.engine, found.precision)
    assert not cache.exists()


def test_int8_is_taken_only_where_its_cost_is_known_and_small(shipped: Artifact) -> None:
    assert tolerable({"dev": {"int8": {"macro_f1_loss": 0.0019}}})
    unknown: list[dict[str, Any]] = [{}, {"dev": {}}, {"dev": {"int8": {}}}]
    for metrics in [*unknown, {"dev": {"int8": {"macro_f1_loss": 0.002}}}]:
        assert not tolerable(metrics)


@pytest.mark.parametrize(("loss", "offered"), [(0.0, True), (0.01, False), (None, False)])
def test_int8_is_measured_only_for_an_artifact_that_allows_it(
    shipped: Artifact, cache: Path, loss: float | None, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what it costs is too much, or was never measured, `auto` does not consider it."""
    measured: list[tuple[str, str]] = []

    def note(_: Path, candidates: Sequence[tuple[str, str]]) -> dict[str, float]:
        measured.extend(candidates)
        return {}

    monkeypatch.setattr(choice, "possible", lambda *_: True)
    monkeypatch.setattr(choice, "_measured", note)
    metrics = {} if loss is None else {"dev": {"int8": {"macro_f1_loss": loss}}}
    chosen(replace(shipped, metrics=metrics))
    assert offered is (("openvino", "int8") in measured)


@pytest.mark.parametrize("candidate", [*ON_A_CPU, *ON_SOME], ids="/".join)
def test_a_text_is_judged_alike_in_any_company_and_order(
    shipped: Artifact, rows: Rows, candidate: tuple[str, str]
) -> None:
    """To 1e-3, in bf16 to 1e-2, in int8 to 2e-2: alone, among others, and backwards."""
    if candidate in ON_SOME and not possible(*candidate):
        pytest.skip(f"this processor cannot do {candidate[1]}")
    engine = open_(shipped, candidate)
    few = rows[-12:]
    tolerance = {"bf16": 1e-2, "int8": 2e-2}.get(candidate[1], 1e-3)
    together = engine.probabilities(few)
    assert np.abs(together - engine.probabilities(few[::-1])[::-1]).max() < tolerance
    for row, found_K in zip(few, together, strict=True):
        assert np.abs(found_K - engine.probabilities([row])[0]).max() < tolerance


@pytest.mark.parametrize("candidate", EXACT, ids="/".join)
def test_other_shapes_than_the_shipped_models_work_too(
    tiny_artifact: Callable[[], Artifact], candidate: tuple[str, str]
) -> None:
    rng = random.Random(0)
    rows = [[rng.randint(5, 60) for _ in range(rng.randint(1, 32))] for _ in range(50)]
    trained = tiny_artifact()
    assert np.abs(reference(trained, rows) - open_(trained, candidate).probabilities(rows)).max() < 1e-5


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_no_result(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "usable_cores", lambda: cores)
    assert np.abs(expected - open_(shipped, ("openvino", "fp32")).probabilities(rows)).max() < 1e-5


def test_calls_at_the_same_time_do_not_mix(shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32]) -> None:
    """As many as an engine says it gains from, and then some."""
    engine = open_(shipped, ("openvino", "fp32"))
    parts = [list(range(start, len(rows), 5)) for start in range(5)] * 3
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = list(threads.map(lambda part: engine.probabilities([rows[row] for row in part]), parts))
    for part, found in zip(parts, answers, strict=True):
        assert np.abs(expected[part] - found).max() < 1e-5


def test_no_texts_give_no_rows(shipped: Artifact) -> None:
    assert (0, 28) == open_(shipped, ("openvino", "fp32")).probabilities([]).shape


STEADY = """
import random, sys
from pathlib import Path
from model import artifact
from model.engine import open_engine

engine = open_engine(artifact.load(artifact.DEFAULT), engine="openvino", device="cpu", precision="fp32")
rng = random.Random(0)
for number in range(40):
    print("batch", number, flush=True)
    engine.probabilities([[1] * rng.randint(3, 40) for _ in range(rng.randint(1, 48))])
"""


def test_in_steady_state_hardly_a_kernel_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of ever new composition meet the shapes of earlier ones, since shapes are rounded."""
    monkeypatch.setenv("ONEDNN_VERBOSE", "profile_create")
    done = subprocess.run([sys.executable, "-c", STEADY], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled: list[int] = []
    for line in done.stdout.splitlines():
        if line.startswith("batch"):
            compiled.append(0)
        elif "create:cache_miss" in line and compiled:
            compiled[-1] += 1
    assert sum(compiled[:10]) > 10  # it is seen where it happens
    assert sum(compiled[30:]) < sum(compiled[:10]) / 4, compiled


def test_a_cpu_needs_no_torch() -> None:
    """Tagging a text, from an artifact's files to its emotions, imports neither torch nor transformers."""
    program = (
        "import sys\n"
        "from model.tagger import EmotionTagger\n"
        "tagging = EmotionTagger.load(on='cpu', engine='openvino').tag(['thank you so much'])[0]\n"
        "assert 'gratitude' == tagging.emotions[0].label\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "emotag"


def chosen(trained: Artifact, **asked: str) -> choice.Choice:
    return choose(trained, **{"device": "cpu", "engine": "auto", "precision": "auto", **asked})


def test_what_is_fastest_is_measured_once_and_remembered(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a start before, for this processor, model and versions."""
    monkeypatch.setattr(choice, "PATIENCE_S", 120.0)
    first = chosen(shipped)
    assert "measured" == first.how
    assert {"openvino/fp32", "torch/fp32"} <= set(first.timings_ms)
    assert [json.dumps(dict(first.timings_ms))] == [file.read_text() for file in cache.iterdir()]
    assert ("remembered", first.timings_ms) == ((second := chosen(shipped)).how, second.timings_ms)


def test_a_memory_that_is_broken_is_measured_anew(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_measured", lambda *_: {"openvino/fp32": 1.0})
    assert "measured" == chosen(shipped).how
    for rubbish in ("", "[]", '{"openvino/fp32": "fast"}', "{"):
        next(cache.iterdir()).write_text(rubbish)
        assert "measured" == chosen(shipped).how


@pytest.mark.parametrize(
    ("timings_ms", "expected"),
    [
        ({"openvino/fp32": 10.0, "torch/fp32": 9.0}, ("openvino", "fp32")),
        ({"openvino/fp32": 10.0, "torch/fp32": 7.0}, ("torch", "fp32")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 5.0}, ("openvino", "fp32")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 3.0}, ("openvino", "bf16")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 3.0, "torch/bf16": 2.0}, ("torch", "bf16")),
        ({"openvino/fp32": 10.0, "openvino/int8": 7.0}, ("openvino", "fp32")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 6.0, "openvino/int8": 5.3}, ("openvino", "int8")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 3.0, "openvino/int8": 2.8}, ("openvino", "bf16")),
        ({"openvino/fp32": 10.0, "openvino/bf16": 3.0, "openvino/int8": 2.0}, ("openvino", "int8")),
        ({}, ("openvino", "fp32")),
    ],
)
def test_a_choice_is_not_made_by_a_hair(
    shipped: Artifact,
    cache: Path,
    timings_ms: dict[str, float],
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bf16 and int8 must be worth their rounding, torch its start; where nothing could be measured it is fp32."""
    monkeypatch.setattr(choice, "possible", lambda *_: True)
    monkeypatch.setattr(choice, "_measured", lambda *_: timings_ms)
    found = chosen(shipped)
    assert expected == (found.engine, found.precision)


@pytest.mark.parametrize("asked", [{"engine": "onnx"}, {"precision": "fp8"}])
def test_an_unknown_engine_or_precision_is_refused_with_what_there_is(shipped: Artifact, asked: dict[str, str]) -> None:
    with pytest.raises(DeviceUnknown, match="it takes auto"):
        chosen(shipped, **asked)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_openvino_is_not_asked_to_use_a_gpu(shipped: Artifact, precision: str) -> None:
    with pytest.raises(DeviceUnknown, match="does not run on cuda"):
        chosen(shipped, device="cuda", engine="openvino", precision=precision)


def test_an_engine_that_is_not_installed_is_named_with_what_to_install(
    shipped: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.engine.installed", lambda package: package == "openvino")
    with pytest.raises(DeviceUnknown, match=r"pip install 'emotag\[cuda\]'"):
        chosen(shipped, engine="torch")


class Slow:
    """Counts what it is asked for."""

    name, device, precision, concurrency, computed_tokens = "slow", "cpu", "fp32", 1, 0

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls = 0

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        self.calls += 1
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return np.zeros((len(rows), 1), np.float32)

    def recover(self) -> None: ...


def test_no_candidate_is_given_up_on_that_could_still_decide() -> None:
    """fp32 above all: by its time the others are judged."""
    assert FAR_BEHIND > max(WORTH.values()) * WORTH_TORCH


def test_what_is_far_behind_is_not_measured_to_the_end() -> None:
    """bf16 that a processor only imitates would take a second of the start to lose."""
    fast, slow = Slow(0.001), Slow(0.02)
    timings = measure_ms({"fast": fast, "slow": slow}, texts=1)
    assert timings["fast"] < timings["slow"]
    assert (6, 3) == (fast.calls, slow.calls)
