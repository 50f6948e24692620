"""Every engine gives the results of the reference, whatever else is in the batch."""

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines import openvino_engine
from emotag_model.engines.precision import PRECISIONS, EngineName, PrecisionName
from emotag_model.engines.protocol import Engine, is_possible, open_engine
from emotag_model.errors import DeviceUnknown
from emotag_model.tokens import Tokens, pad
from emotag_worker.local.demo_records import read_sample_texts

from .conftest import build_faint_artifact

ROOT = Path(__file__).parents[2]
Candidate = tuple[EngineName, PrecisionName]
IMITATED: Candidate = ("torch", "int8")
CANDIDATES: list[Candidate] = [(engine, name) for name, row in PRECISIONS.items() for engine in row.engines]
EXACT = [candidate for candidate in CANDIDATES if candidate[1] == "fp32"]
Rows = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> Rows:
    """The sample texts, one of a single word, and one as long as the model's window."""
    texts = [*read_sample_texts()[:60], "yes", "thank you so much " * 60]
    return [text.ids for text in Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)(texts)]


@torch.inference_mode()
def reference(trained: Artifact, rows: Rows) -> npt.NDArray[np.float32]:
    """Each text alone through the reference: no padding, no other texts."""
    model = DistilBertCNN.of(trained.config, trained.weights)
    found = []
    for row in rows:
        ids_BL, mask_BL = pad([row], pad_id=0)
        found.append(torch.sigmoid(model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)))[0].numpy())
    return np.stack(found)


def open_(trained: Artifact, candidate: Candidate) -> Engine:
    engine, precision = candidate
    return open_engine(trained, engine=engine, device="cpu", precision=precision)


@pytest.fixture(scope="module")
def expected(shipped: Artifact, rows: Rows) -> npt.NDArray[np.float32]:
    return reference(shipped, rows)


@pytest.mark.parametrize("candidate", EXACT, ids="/".join)
def test_in_fp32_it_equals_the_reference(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], candidate: Candidate
) -> None:
    """To 1e-5, the longest and the shortest texts included."""
    assert np.abs(expected - open_(shipped, candidate).probabilities(rows)).max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_low_precision_decisions_are_the_references(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], precision: PrecisionName
) -> None:
    """Except for scores within 1e-2 of their threshold."""
    found = open_(shipped, ("torch", precision)).probabilities(rows)
    thresholds_K = np.array(shipped.thresholds.values)
    clear = np.abs(expected - thresholds_K) > 1e-2
    assert np.array_equal((expected >= thresholds_K)[clear], (found >= thresholds_K)[clear])


def test_int8_gives_what_its_imitation_gives(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artifact contains the cost in quality of this simulation.

    Without VNNI or AMX a processor cuts off some sums and is refused; here it may run.
    """
    exact = is_possible("openvino", "int8")
    if not exact:
        with pytest.raises(DeviceUnknown, match="int8"):
            open_(shipped, ("openvino", "int8"))
        monkeypatch.setattr(openvino_engine, "list_instructions", lambda: ["avx512_vnni"])
    imitated = open_(shipped, ("torch", "int8")).probabilities(rows)
    found = open_(shipped, ("openvino", "int8")).probabilities(rows)
    assert np.abs(expected - imitated).mean() < 2e-3
    off = np.abs(found - imitated).mean()
    assert off < (1e-3 if exact else 2e-3)
    assert off < np.abs(found - expected).mean()  # closer to the simulation than to fp32


@pytest.mark.parametrize("candidate", EXACT, ids="/".join)
def test_other_shapes_than_the_shipped_models_work_too(
    tiny_artifact: Callable[[], Artifact], candidate: Candidate
) -> None:
    rng = random.Random(0)
    rows = [[rng.randint(5, 60) for _ in range(rng.randint(1, 32))] for _ in range(50)]
    trained = tiny_artifact()
    assert np.abs(reference(trained, rows) - open_(trained, candidate).probabilities(rows)).max() < 1e-5


@pytest.mark.parametrize("candidate", [*CANDIDATES, IMITATED], ids="/".join)
def test_layer_norms_have_the_epsilon_of_the_config(candidate: Candidate) -> None:
    """RoBERTa's is 1e-5. A single norm with another epsilon would move this model's probabilities much further."""
    if candidate[0] == "openvino" and not is_possible(*candidate):
        pytest.skip(f"this processor cannot do {'/'.join(candidate)}")
    rows = [[2, *range(5, 5 + length), 3] for length in (1, 5, 24)]
    expected, other = (reference(build_faint_artifact(epsilon), rows) for epsilon in (1e-5, 1e-12))
    found = open_(build_faint_artifact(1e-5), candidate).probabilities(rows)
    assert np.abs(expected - other).max() > 0.2
    assert np.abs(expected - found).max() < (1e-5 if candidate[1] == "fp32" else 2e-3)


def test_calls_at_the_same_time_do_not_mix(shipped: Artifact, rows: Rows) -> None:
    """With more calls than an engine runs in parallel."""
    engine = open_(shipped, ("openvino", "fp32"))
    expected = engine.probabilities(rows)
    parts = [list(range(start, len(rows), 5)) for start in range(5)] * 3
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = list(threads.map(lambda part: engine.probabilities([rows[row] for row in part]), parts))
    for part, found in zip(parts, answers, strict=True):
        assert np.array_equal(expected[part], found)


def test_no_texts_give_no_rows(shipped: Artifact) -> None:
    assert (0, 28) == open_(shipped, ("openvino", "fp32")).probabilities([]).shape


STEADY = """
import random, sys
from pathlib import Path
from emotag_model import artifact
from emotag_model.engines.protocol import open_engine

engine = open_engine(artifact.load(artifact.DEFAULT), engine="openvino", device="cpu", precision="fp32")
rng = random.Random(0)
for number in range(40):
    print("batch", number, flush=True)
    engine.probabilities([[1] * rng.randint(3, 40) for _ in range(rng.randint(1, 48))])
"""


def test_in_steady_state_hardly_a_kernel_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """New batches have the shapes of earlier ones, because shapes are rounded."""
    monkeypatch.setenv("ONEDNN_VERBOSE", "profile_create")
    done = subprocess.run([sys.executable, "-c", STEADY], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled: list[int] = []
    for line in done.stdout.splitlines():
        if line.startswith("batch"):
            compiled.append(0)
        elif "create:cache_miss" in line and compiled:
            compiled[-1] += 1
    assert sum(compiled[:10]) > 10  # only the engine's internals show it
    assert sum(compiled[30:]) < sum(compiled[:10]) / 4, compiled
