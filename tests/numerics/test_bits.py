"""On a CPU, a text has the same bits in any batch and order, with any number of threads, and after a restart."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import openvino_engine, reference_engine, torch_engine
from emotag_model.engines.choice import Choice
from emotag_model.engines.device import list_instructions
from emotag_model.engines.native import engine as native_engine
from emotag_model.engines.precision import ENGINES, PRECISIONS, EngineName, PrecisionName
from emotag_model.engines.protocol import Engine, is_possible, open_engine
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import Tokens
from emotag_worker.batch_results import compute_entries
from emotag_worker.cache.entry import Codec, Entry
from emotag_worker.local.demo_records import read_sample_texts
from emotag_worker.settings.stream import OutputSettings

from .regroupings import SIZES, Rows

ROOT = Path(__file__).parents[2]
Candidate = tuple[EngineName, PrecisionName]
CANDIDATES: list[Candidate] = [
    *((engine, name) for name, row in PRECISIONS.items() for engine in row.engines),
    ("torch", "int8"),  # the imitation
]
Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> Rows:
    """Sample texts, one of a single word, one as long as the model's window, and random tokens of every length."""
    texts = [*read_sample_texts()[:30], "yes", "thank you so much " * 60]
    rng = random.Random(0)
    drawn = [[rng.randint(1_000, 20_000) for _ in range(length)] for length in range(1, 40)]
    return [*(text.ids for text in Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)(texts)), *drawn]


@pytest.fixture(params=CANDIDATES, ids="/".join)
def candidate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Candidate:
    """Every engine in every precision; int8 also without VNNI: what it computes then is wrong, but repeatable."""
    engine, precision = request.param
    if (engine, precision) == ("openvino", "int8"):
        monkeypatch.setattr(openvino_engine, "list_instructions", lambda: ["avx512_vnni"])
    elif (engine, precision) != ("torch", "int8") and not is_possible(engine, precision):
        pytest.skip(f"this processor cannot do {precision}")
    return engine, precision


def open_(trained: Artifact, candidate: Candidate) -> Engine:
    engine, precision = candidate
    return open_engine(trained, engine=engine, device="cpu", precision=precision)


def is_same(first_NK: Floats, second_NK: Floats, engine: str) -> bool:
    """Return True if the bits are equal; torch on AVX-512, which was not measured, may differ in the second decimal."""
    if engine in ("torch", "reference") and "avx512f" in list_instructions():
        return bool(np.abs(first_NK - second_NK).max() < 2e-2)
    return np.array_equal(first_NK, second_NK)


def choose_few(rows: Rows, candidate: Candidate) -> Rows:
    """Return fewer texts for torch, and even fewer in formats that most processors emulate, 50 times as slowly."""
    if candidate in {("torch", "bf16"), ("torch", "fp16")}:
        return rows[32::6]
    return rows if candidate[0] in ("native", "openvino") else rows[::2]


def compute_regrouped(engine: Engine, rows: Rows, *, seed: int) -> Floats:
    """Compute the texts in a random order, in batches of random sizes."""
    rng = random.Random(seed)
    order = rng.sample(range(len(rows)), len(rows))
    found_NK = np.empty((len(rows), 28), np.float32)
    while order:
        size = rng.choice(SIZES)
        part, order = order[:size], order[size:]
        found_NK[part] = engine.probabilities([rows[row] for row in part])
    return found_NK


def test_a_text_has_the_same_bits_in_any_batch_and_order(shipped: Artifact, rows: Rows, candidate: Candidate) -> None:
    """Alone, with all others, in reverse, and in random batches."""
    engine, few = open_(shipped, candidate), choose_few(rows, candidate)
    together_NK = engine.probabilities(few)
    assert is_same(together_NK, engine.probabilities(few[::-1])[::-1], engine.name)
    assert is_same(together_NK, np.concatenate([engine.probabilities([row]) for row in few]), engine.name)
    for seed in range(2):
        assert is_same(together_NK, compute_regrouped(engine, few, seed=seed), engine.name)


def test_a_long_text_has_the_same_bits_in_any_batch_and_from_the_cache(shipped: Artifact, candidate: Candidate) -> None:
    """Its windows are computed among other texts, alone, or not at all."""
    tagger = EmotionTagger(shipped, open_(shipped, candidate), Choice(*candidate, {}, "named"))
    others = read_sample_texts()[:3]
    long = "I was so happy when it came. Then it broke, and nobody helped me. " * 8 + "Thank you so much " * 9
    found = []
    for texts in ([*others, long], [long], [long, "yes"]):
        tokens = dict(zip(texts, tagger.tokenize(texts), strict=True))
        scopes = tagger.find_scopes(texts, list(tokens.values()))
        entry = compute_entries(tagger, tokens, scopes, OutputSettings())[long]
        assert isinstance(entry, Entry)
        codec = Codec(len(tagger.labels))
        found += [entry, *codec.decode(codec.encode([entry]))]
    assert len(found[0].windows) > 2
    rows_WK = [np.stack([window.probabilities_K for window in entry.windows]) for entry in found]
    for entry, each_WK in zip(found, rows_WK, strict=True):
        assert is_same(rows_WK[0], each_WK, candidate[0])
        assert is_same(tagger.join_windows(rows_WK[0]), tagger.join_windows(each_WK), candidate[0])
        assert [(one.start, one.end) for one in found[0].windows] == [(one.start, one.end) for one in entry.windows]


def test_a_text_has_the_same_bits_with_any_number_of_threads(
    shipped: Artifact, rows: Rows, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time in another engine."""
    few = choose_few(rows, candidate)
    found = []
    for cores in (1, 2, 3):
        for module in (native_engine, openvino_engine, torch_engine, reference_engine):
            monkeypatch.setattr(module, "count_usable_cores", lambda cores=cores: cores)
        found.append(compute_regrouped(open_(shipped, candidate), few, seed=cores))
    assert is_same(found[0], found[1], candidate[0])
    assert is_same(found[0], found[2], candidate[0])


RESTARTED = """
import sys
from emotag_model import artifact
from emotag_model.engines.protocol import open_engine

precision = "int8" if sys.argv[1] == "native" else "fp32"
engine = open_engine(artifact.load(artifact.DEFAULT), engine=sys.argv[1], device="cpu", precision=precision)
rows = [[1 + number] * number for number in range(1, 40)]
sys.stdout.buffer.write(b"bits" + engine.probabilities(rows).tobytes())
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_text_has_the_same_bits_after_a_restart(shipped: Artifact, engine: EngineName) -> None:
    """In a new process, and with other texts."""
    command = [sys.executable, "-c", RESTARTED, engine]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    restarted_NK = np.frombuffer(done.stdout.partition(b"bits")[2], np.float32).reshape(-1, 28)
    rows = [[1 + number] * number for number in range(1, 40)]
    precision: PrecisionName = "int8" if engine == "native" else "fp32"
    assert is_same(restarted_NK[::5], open_(shipped, (engine, precision)).probabilities(rows[::5]), engine)
