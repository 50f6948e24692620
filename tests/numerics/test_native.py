"""The native engine computes the same bits with each kind of instructions."""

import ctypes
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.native import library
from emotag_model.engines.native.engine import NativeEngine
from emotag_model.engines.protocol import open_engine
from emotag_model.tokens import Tokens
from emotag_worker.local.demo_records import read_sample_texts
from tests.fuzz import native as sanitized

from .conftest import tiny_config

ROOT = Path(__file__).parents[2]
HEADER = Path(__file__).parent / "simulated.h"
SIMDE = Path("/usr/include/simde/x86/avx512.h")
Rows = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> Rows:
    """Sample texts, one of a single word, one as long as the model's window, and random tokens of many lengths."""
    texts = [*read_sample_texts()[:20], "yes", "thank you so much " * 60]
    rng = random.Random(0)
    drawn = [[rng.randint(1_000, 20_000) for _ in range(length)] for length in (1, 2, 3, 15, 16, 17, 33, 65)]
    return [*(text.ids for text in Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)(texts)), *drawn]


def open_path(trained: Artifact, name: str, monkeypatch: pytest.MonkeyPatch) -> NativeEngine:
    monkeypatch.setenv(library.PATH_VARIABLE, name)
    engine = NativeEngine(trained)
    assert name == engine.path
    return engine


@pytest.fixture(scope="module")
def expected(shipped: Artifact, rows: Rows) -> npt.NDArray[np.float32]:
    """Return what the portable path computes: plain C, without any instruction of a certain processor."""
    with pytest.MonkeyPatch.context() as patch:
        return open_path(shipped, "portable", patch).probabilities(rows)


def test_every_path_of_this_processor_computes_the_same_bits(
    shipped: Artifact, rows: Rows, expected: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [path.contents.name.decode() for path in library.list_paths()]
    assert "portable" == names[-1]
    for name in names[:-1]:
        assert np.array_equal(expected, open_path(shipped, name, monkeypatch).probabilities(rows)), name


def test_other_shapes_than_the_shipped_models_work_too(
    tiny_artifact: Callable[[], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Close to the imitation in torch, and the same bits alone and on every path."""
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(dim=128, n_heads=4, hidden_dim=192, channels=48, kernel_size=3)).eval()
    made = replace(tiny_artifact(), config=model.config, weights=model.weights())
    rng = random.Random(0)
    rows = [[rng.randint(5, 60) for _ in range(length)] for length in (*range(1, 33), *range(1, 20))]
    found = [
        open_path(made, path.contents.name.decode(), monkeypatch).probabilities(rows) for path in library.list_paths()
    ]
    assert all(np.array_equal(found[0], other) for other in found[1:])
    engine = NativeEngine(made)
    assert np.array_equal(found[0], np.concatenate([engine.probabilities([row]) for row in rows]))
    imitated = open_engine(made, engine="torch", device="cpu", precision="int8").probabilities(rows)
    assert np.abs(found[0] - imitated).max() < 1e-2


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library with the paths for AVX-512 and AVX-VNNI, whose instructions are simulated."""
    if not SIMDE.exists():
        pytest.skip("needs SIMDe (Debian: libsimde-dev)")
    build = sanitized.import_build_script()
    simulate = [*build.AVX2, "-Wno-psabi", "-include", str(HEADER)]
    build.X86_PATHS = {"avx512": [*simulate, "-DSIMULATE_AVX512"], "avxvnni": simulate, "avx2": build.AVX2}
    target = tmp_path_factory.mktemp("simulated") / "simulated.so"
    build.compile_library(ROOT, target, ["-Wno-error"])
    return library.load(target)


@pytest.mark.parametrize("name", ["avx512", "avxvnni"])
def test_paths_of_other_processors_compute_the_same_bits_in_a_simulation(
    shipped: Artifact,
    rows: Rows,
    expected: npt.NDArray[np.float32],
    simulated: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = ctypes.pointer(library.PathStruct.in_dll(simulated, f"emotag_{name}"))
    monkeypatch.setattr(library, "load", lambda: simulated)
    monkeypatch.setattr(library, "choose_path", lambda named: path)
    engine = NativeEngine(shipped)
    assert name == engine.path
    assert np.array_equal(expected, engine.probabilities(rows))


def test_it_is_clean_under_address_sanitizer_and_ubsan(tmp_path: Path) -> None:
    """Also with ids and lengths out of range, which are refused."""
    done = sanitized.run(tmp_path, seconds=3)
    assert 0 == done.returncode, done.stderr[-3000:]
    assert done.stdout.startswith("Done ")
