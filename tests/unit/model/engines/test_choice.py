"""The choice of engine and precision: measured once, stored, and never decided by noise."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines import choice, measurement
from emotag_model.engines.choice import choose
from emotag_model.errors import DeviceUnknown
from tests.numerics.conftest import tiny_config

VNNI, AMX = "avx512_vnni", "amx_bf16"


@pytest.fixture(autouse=True)
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tests that use `compiled` have the native engine."""
    compiled = "compiled" in request.fixturenames
    monkeypatch.setattr("emotag_model.engines.protocol.is_compiled", lambda: compiled)
    monkeypatch.setattr("emotag_model.engines.native.library.is_fast", lambda: compiled)


@pytest.fixture
def compiled() -> None: ...


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("native", "int8", "preferred")),
        ({"engine": "native"}, ("native", "int8", "named")),
        ({"engine": "openvino", "precision": "fp32"}, ("openvino", "fp32", "named")),
    ],
)
def test_the_native_engine_is_preferred_without_a_measurement(
    shipped: Artifact, compiled: None, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], expected: tuple[str, ...]
) -> None:
    """So replicas on different processors compute the same bits."""
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: pytest.fail("measured"))
    found = chosen(shipped, **asked)
    assert expected == (found.engine, found.precision, found.how)


def test_a_native_engine_that_is_too_coarse_or_has_no_instructions_here_is_not_considered(
    shipped: Artifact, compiled: None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: {"openvino/fp32": 1.0})
    assert "openvino" == chosen(replace(shipped, metrics={})).engine
    monkeypatch.setattr("emotag_model.engines.native.library.is_fast", lambda: False)
    assert "openvino" == chosen(replace(shipped, version="other")).engine


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that the processor has these instructions, and that every engine computes what they allow."""

    def pretend(*instructions: str) -> None:
        possible = {"fp32", *(["int8"] if VNNI in instructions or AMX in instructions else []), "bf16"}
        monkeypatch.setattr(choice, "list_instructions", lambda: list(instructions))
        monkeypatch.setattr(choice, "is_possible", lambda engine, precision: precision in possible)

    return pretend


def test_a_relative_path_is_measured_too(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process that measures is started in another folder."""
    monkeypatch.setattr(measurement, "PATIENCE_S", 120.0)
    assert shipped.path is not None
    monkeypatch.chdir(shipped.path.parent)
    relative = replace(shipped, path=Path(shipped.path.name))
    assert "measured" == chosen(relative).how


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [((), "fp32"), (("avx2",), "fp32"), ((VNNI,), "int8"), ((VNNI, AMX), "bf16")],
    ids=["unknown", "AVX2", "VNNI", "AMX"],
)
def test_without_a_measurement_the_usual_winner_of_the_processor_is_taken(
    shipped: Artifact,
    cache: Path,
    processor: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    instructions: tuple[str, ...],
    expected: str,
) -> None:
    processor(*instructions)
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: {})
    found = chosen(shipped)
    assert ("default", "openvino", expected) == (found.how, found.engine, found.precision)


def test_a_measurement_that_timed_out_is_not_repeated(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two consecutive starts give the same scores, and the reason names the file to delete."""
    monkeypatch.setattr(measurement, "PATIENCE_S", 0.001)
    first = chosen(shipped)
    (file,) = cache.iterdir()
    assert ("default", {}) == (first.how, first.timings_ms)
    assert first.reason.startswith(f"the measurement did not finish (limit: 8 s); to measure again, delete {file}")
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: pytest.fail("measured again"))
    second = chosen(shipped)
    assert ("remembered", "") == (second.how, second.reason)
    assert (first.engine, first.precision) == (second.engine, second.precision)


def test_if_the_choice_cannot_be_stored_nothing_is_measured(
    shipped: Artifact, tmp_path: Path, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start would measure again, and could choose something else."""
    processor(VNNI)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: pytest.fail("measured"))
    found = chosen(shipped)
    assert ("default", "int8") == (found.how, found.precision)
    assert str(tmp_path / "file" / "emotag") in found.reason
    assert "set engine and precision" in found.reason


def test_of_two_first_starts_at_once_the_choice_stored_first_holds_for_both(
    shipped: Artifact, cache: Path, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(VNNI)
    other: list[choice.Choice] = []

    def measure(*_: object) -> dict[str, float]:
        if not other:
            other.append(replace(found, precision="fp32") if (found := nested()) else found)
        return {"openvino/fp32": 10.0, "openvino/int8": 4.0}

    def nested() -> choice.Choice:
        monkeypatch.setattr(choice, "measure_in_process", lambda *_: {"openvino/fp32": 10.0, "openvino/int8": 9.0})
        return chosen(shipped)

    monkeypatch.setattr(choice, "measure_in_process", measure)
    late = chosen(shipped)
    assert ("fp32", "fp32") == (other[0].precision, late.precision)


def test_if_the_measurement_fails_and_another_start_stored_its_choice_no_failure_is_reported(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reason would say that the default is used, but the stored choice is."""

    def store_other_choice_and_fail(*_: object) -> dict[str, float]:
        monkeypatch.setattr(choice, "measure_in_process", lambda *_: {"openvino/fp32": 10.0})
        assert "measured" == chosen(shipped).how
        return {}

    monkeypatch.setattr(choice, "measure_in_process", store_other_choice_and_fail)
    late = chosen(shipped)
    assert ("remembered", "", {"openvino/fp32": 10.0}) == (late.how, late.reason, late.timings_ms)


def test_the_caller_is_told_only_before_a_measurement(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The model package itself prints nothing."""
    events: list[str] = []

    def measure(*_: object) -> dict[str, float]:
        events.append("measured")
        return {"openvino/fp32": 1.0}

    monkeypatch.setattr(choice, "measure_in_process", measure)
    for _ in range(2):
        chosen(shipped, before_measuring=lambda: events.append("announced"))
    chosen(shipped, engine="openvino", precision="fp32", before_measuring=lambda: events.append("announced"))
    assert ["announced", "measured"] == events
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize(("loss", "offered"), [(0.0, True), (0.01, False), (None, False)])
def test_int8_is_measured_only_for_an_artifact_that_allows_it(
    shipped: Artifact, cache: Path, loss: float | None, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what it costs is too much, or was never measured, `auto` does not consider it."""
    measured: list[tuple[str, str]] = []

    def note(_: Path, candidates: Sequence[tuple[str, str]]) -> dict[str, float]:
        measured.extend(candidates)
        return {}

    monkeypatch.setattr(choice, "is_possible", lambda *_: True)
    monkeypatch.setattr(choice, "measure_in_process", note)
    metrics = {} if loss is None else {"dev": {"int8": {"macro_f1_loss": loss}}}
    chosen(replace(shipped, metrics=metrics))
    assert offered is (("openvino", "int8") in measured)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "emotag"


def chosen(trained: Artifact, **asked: Any) -> choice.Choice:
    return choose(trained, **{"device": "cpu", "engine": "auto", "precision": "auto", **asked})


def test_the_fastest_is_measured_once_and_remembered(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For this processor, model and versions."""
    monkeypatch.setattr(measurement, "PATIENCE_S", 120.0)
    first = chosen(shipped)
    assert "measured" == first.how
    assert "openvino/fp32" in first.timings_ms
    (file,) = cache.iterdir()
    assert {"engine": first.engine, "precision": first.precision, "timings_ms": first.timings_ms} == json.loads(
        file.read_text()
    )
    assert replace(first, how="remembered") == chosen(shipped)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"engine": "openvino"}', '{"engine": "x", "precision": "fp32", "timings_ms": {}}'],
)
def test_a_corrupt_file_is_measured_again_and_replaced(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: {"openvino/fp32": 1.0})
    assert "measured" == chosen(shipped).how
    (file,) = cache.iterdir()
    file.write_text(content)
    assert "measured" == chosen(shipped).how
    assert "remembered" == chosen(shipped).how
    assert [file] == list(cache.iterdir())


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
    ],
)
def test_a_choice_is_not_made_by_a_hair(
    shipped: Artifact,
    cache: Path,
    timings_ms: dict[str, float],
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bf16 and int8 must be worth their rounding, and torch its start."""
    monkeypatch.setattr(choice, "is_possible", lambda *_: True)
    monkeypatch.setattr(choice, "measure_in_process", lambda *_: timings_ms)
    found = chosen(shipped)
    assert expected == (found.engine, found.precision)


@pytest.mark.parametrize("asked", [{"engine": "onnx"}, {"precision": "fp8"}])
def test_an_unknown_engine_or_precision_is_refused_with_what_there_is(shipped: Artifact, asked: dict[str, str]) -> None:
    with pytest.raises(DeviceUnknown, match="use auto"):
        chosen(shipped, **asked)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_openvino_is_not_asked_to_use_a_gpu(shipped: Artifact, precision: str) -> None:
    with pytest.raises(DeviceUnknown, match="does not run on cuda"):
        chosen(shipped, device="cuda", engine="openvino", precision=precision)


@pytest.fixture
def with_attention(tiny_artifact: Callable[[], Artifact]) -> Artifact:
    """A model with attention in its head, which only the reference computes."""
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(attention_heads=4)).eval()
    return replace(tiny_artifact(), config=model.config, weights=model.weights())


@pytest.mark.parametrize("asked", [{}, {"engine": "reference"}, {"precision": "fp32"}, {"device": "cuda"}])
def test_the_reference_serves_a_model_that_no_other_engine_supports(
    with_attention: Artifact, asked: dict[str, str]
) -> None:
    found = chosen(with_attention, **asked)
    assert ("reference", "fp32") == (found.engine, found.precision)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_named_engine_that_does_not_support_the_model_is_refused(with_attention: Artifact, engine: str) -> None:
    """With the reason and what to do, never a silent change of engine."""
    with pytest.raises(DeviceUnknown, match=rf"engine {engine} .*attention_heads 4.*auto or reference"):
        chosen(with_attention, engine=engine)


def test_the_reference_is_not_offered_for_a_model_that_others_support(
    shipped: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[str] = []

    def note(_: Path, candidates: Sequence[tuple[str, str]]) -> dict[str, float]:
        offered.extend(engine for engine, _ in candidates)
        return {}

    monkeypatch.setattr(choice, "measure_in_process", note)
    chosen(shipped)
    assert {"openvino", "torch"} == set(offered)


def test_without_torch_such_a_model_is_refused_with_what_to_install(
    with_attention: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotag_model.engines.protocol.is_installed", lambda package: package == "openvino")
    with pytest.raises(DeviceUnknown, match=r"needs torch.*pip install \./schemas '\.\[cuda\]'"):
        chosen(with_attention)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (
            {"engine": "torch", "precision": "int8"},
            "'int8' is not available on cpu with torch; use auto, fp32, bf16, fp16",
        ),
        (
            {"engine": "openvino", "precision": "fp16"},
            "'fp16' is not available on cpu with openvino; use auto, fp32, bf16, int8",
        ),
        ({"engine": "reference", "precision": "bf16"}, "'bf16' is not available on cpu with reference; use auto, fp32"),
        (
            {"device": "cuda", "precision": "int8"},
            "'int8' is not available on cuda with torch; use auto, fp32, bf16, fp16",
        ),
    ],
)
def test_a_precision_that_the_engine_does_not_compute_is_refused(
    shipped: Artifact, asked: dict[str, str], why: str
) -> None:
    with pytest.raises(DeviceUnknown, match=why):
        chosen(shipped, **asked)
