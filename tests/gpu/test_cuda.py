"""On a GPU: the same results as the reference on a CPU, whatever the batch; and training that learns and resumes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.engines.packed_attention import find_varlen_kernel
from emotag_model.engines.precision import PrecisionName
from emotag_model.engines.reference_engine import ReferenceEngine
from emotag_model.engines.torch_engine import CUDA_BATCH_TOKENS, DTYPES, TorchEngine
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import Tokens
from emotag_training.data.split import TokenizedSplit
from emotag_training.data.table import load_split
from emotag_training.distillation.teacher import load_teacher
from emotag_training.encoders.pretrained import load_encoder
from emotag_training.errors import Interrupted
from emotag_training.evaluation.metrics import Floats
from emotag_training.loop.checkpoint import Checkpoints
from emotag_training.loop.fit import fit
from emotag_training.loop.kernel_sizes import narrow_kernels, parse_kernel_sizes
from emotag_training.loop.state import Run
from emotag_training.loop.trackers import Watchers
from emotag_training.presets import apply_changes
from emotag_training.recipe import Recipe
from tests.integration.training.test_training import run

TEXTS = (
    "I'm so excited about this new opportunity!",
    "no",
    "Thanks, you made my day. I never thought that anyone would notice what I had done there.",
    "What a terrible, disgusting thing to say to a child",
    "I have no idea what you are talking about " * 12,
    "",
)
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-3, "bf16": 2e-2}
"""Tolerances of a text's scores by precision, from the documentation."""


@pytest.fixture(scope="module")
def shipped() -> Artifact:
    return artifact.load(artifact.DEFAULT)


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> list[Sequence[int]]:
    """300 texts of many lengths."""
    tokens = Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)
    words = " ".join(TEXTS).split()
    drawn = np.random.default_rng(0)
    made = [" ".join(drawn.choice(words, size=int(drawn.integers(1, 60)))) for _ in range(294)]
    return [text.ids for text in tokens([*TEXTS, *made])]


@pytest.fixture(scope="module")
def expected(shipped: Artifact, rows: list[Sequence[int]]) -> Floats:
    return TorchEngine(shipped, device="cpu", precision="fp32").probabilities(rows)


@pytest.mark.parametrize("precision", sorted(DTYPES))
def test_scores_are_those_of_the_cpu(
    shipped: Artifact, rows: list[Sequence[int]], expected: Floats, precision: PrecisionName
) -> None:
    found = TorchEngine(shipped, device="cuda", precision=precision).probabilities(rows)
    assert np.abs(found - expected).max() < TOLERANCE[precision]


@pytest.mark.parametrize("precision", sorted(DTYPES))
def test_a_text_has_the_same_scores_alone_and_among_others(
    shipped: Artifact, rows: list[Sequence[int]], precision: PrecisionName
) -> None:
    engine = TorchEngine(shipped, device="cuda", precision=precision)
    together = engine.probabilities(rows)[:32]
    alone = np.concatenate([engine.probabilities([row]) for row in rows[:32]])
    assert np.abs(together - alone).max() < TOLERANCE[precision]


def test_the_warm_up_reserves_the_memory_of_the_largest_batches(shipped: Artifact) -> None:
    """Later batches of any shape need no more."""
    engine = TorchEngine(shipped, device="cuda", precision="fp16")
    assert CUDA_BATCH_TOKENS == engine.batch_tokens
    reserved = torch.cuda.memory_reserved()
    for length in (2, 5, 20, shipped.config.max_tokens):
        engine.probabilities([[0] * length] * (CUDA_BATCH_TOKENS // length))
    assert torch.cuda.memory_reserved() <= 1.1 * reserved


def test_two_threads_get_the_scores_of_one(shipped: Artifact, rows: list[Sequence[int]]) -> None:
    engine = TorchEngine(shipped, device="cuda", precision="fp16")
    assert 2 == engine.concurrency
    expected = engine.probabilities(rows)
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(engine.probabilities, [rows] * 50):
            assert np.array_equal(expected, found)


def test_the_reference_engine_gives_the_scores_of_the_cpu(
    shipped: Artifact, rows: list[Sequence[int]], expected: Floats
) -> None:
    assert np.abs(ReferenceEngine(shipped, device="cuda").probabilities(rows) - expected).max() < TOLERANCE["fp32"]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_kernel_for_texts_of_any_length_is_there_and_right(shipped: Artifact, precision: str) -> None:
    """`find_varlen_kernel` compares it with attention by groups, and returns None if they differ."""
    config = shipped.config
    assert find_varlen_kernel("cuda", DTYPES[precision], config.n_heads, config.dim // config.n_heads) is not None


def test_a_tagger_chooses_the_gpu_and_says_so() -> None:
    tagger = EmotionTagger.load()
    assert "torch" == tagger.engine
    assert tagger.device.startswith("cuda")
    assert "excitement" == tagger.tag([TEXTS[0]])[0].top(1)[0].label


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns(folder: Path, tmp_path: Path, precision: str) -> None:
    """The artifact gives the same results on the CPU."""
    options = ["--encoder", str(folder / "encoder"), "--epochs", "6", "--device", "cuda", "--precision", precision]
    run("fit", "--data", str(folder), *options, "--out", str(tmp_path / "toy"))
    made = artifact.load(tmp_path / "toy")
    assert made.metrics["dev"]["macro_f1_cross_validated"] > 0.9
    assert "cuda" in made.training["recipe"]["run"]["device"]


def test_a_model_that_leaves_a_fold_out_speaks_of_it_alone(folder: Path, tmp_path: Path) -> None:
    options = ["--encoder", str(folder / "encoder"), "--device", "cuda", "--epochs", "2", "--set", "data.fold=1/2"]
    run("fit", "--data", str(folder), *options, "--out", str(tmp_path / "fold"))
    said = load_teacher(tmp_path / "fold" / "teacher.safetensors")
    assert {0, 1} == set(said.models_per_text_N.tolist())
    assert (said.probabilities_NK.any(axis=1) == (said.models_per_text_N == 1)).all()


SMALL = {"schedule.epochs": 3, "run.precision": "fp32", "encoder.max_tokens": 16, "schedule.batch_size": 20}


class Sittings:
    """One run on the GPU, interrupted and resumed or not."""

    def __init__(self, folder: Path, changes: Mapping[str, object]) -> None:
        self.recipe = apply_changes(Recipe(), {**SMALL, **changes})
        self._encoder = load_encoder(str(folder / "encoder"))
        self._train, self._dev = (load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev"))

    def __call__(self, out: Path, *, stop_after: int = 10_000, resume: bool = False) -> Run:
        torch.manual_seed(self.recipe.run.seed)
        asked = iter(range(1, 10_000))
        dropout = {"head_dropout": self.recipe.head.dropout, "encoder_dropout": self.recipe.encoder.dropout}
        sizes = parse_kernel_sizes(self.recipe.head.kernel_sizes)
        model = self._encoder.grow(labels=self._train.labels, max_tokens=16, kernel_size=max(sizes), **dropout)
        narrow_kernels(model, sizes)
        tokens = Tokens(self._encoder.tokenizer, max_tokens=16)
        return fit(
            model,
            TokenizedSplit.of(self._train, tokens),
            TokenizedSplit.of(self._dev, tokens),
            self.recipe,
            progress=Watchers(),
            device=torch.device("cuda"),
            mask_id=tokens.id_of("[MASK]"),
            checkpoints=Checkpoints(out, self.recipe, self._train, self._dev),
            resume=resume,
            stop=lambda: next(asked) == stop_after,
        )


DRAWS_NOTHING = {"head.dropout": 0, "encoder.dropout": 0, "encoder.token_masking": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder.trainable_layers": 1, "encoder.cache_frozen": True, "schedule.ema": 0},
        {"head.kernel_sizes": "3+5"},
    ],
)
def test_recorded_steps_are_the_steps_as_they_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """Every batch after a shape's second one is replayed. Without dropout, neither way draws random numbers."""
    sittings = Sittings(folder, {**DRAWS_NOTHING, **changes})
    recorded = sittings(tmp_path / "recorded")
    monkeypatch.setattr("emotag_training.loop.fit.RecordedSteps", lambda step, device: step)
    plain = sittings(tmp_path / "plain")
    for one, other in zip(plain.history, recorded.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert one["roc_auc"] == pytest.approx(other["roc_auc"], abs=1e-3)


@pytest.mark.parametrize("changes", [{}, DRAWS_NOTHING])
def test_a_run_is_interrupted_and_resumed(folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    """With its state and rates: the losses of the epochs equal those of an uninterrupted run, except for dropout."""
    sittings = Sittings(folder, changes)
    whole = sittings(tmp_path / "whole")
    with pytest.raises(Interrupted):
        sittings(tmp_path / "cut", stop_after=7)
    resumed = sittings(tmp_path / "cut", resume=True)
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=0.05 if not changes else 1e-4)
