"""On a GPU: the same answers as the reference on a CPU, whatever the batch; and training that learns and resumes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from model import artifact
from model.artifact import Artifact
from model.packed_attention import varlen_kernel
from model.tagger import EmotionTagger
from model.tokens import Tokens
from model.torch_engine import DTYPES, TorchEngine
from tests.integration.test_training import run
from training.checkpoint import Checkpoints, Interrupted
from training.fit import Run, fit
from training.kernels import side_by_side, sizes_of
from training.labelled import load_split
from training.metrics import Floats
from training.progress import Watchers
from training.recipe import Recipe, varied
from training.teacher import load_teacher
from training.trunk import load_trunk

TEXTS = (
    "I'm so excited about this new opportunity!",
    "no",
    "Thanks, you made my day. I never thought that anyone would notice what I had done there.",
    "What a terrible, disgusting thing to say to a child",
    "I have no idea what you are talking about " * 12,
    "",
)
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-3, "bf16": 2e-2}
"""What README promises of a text's scores by precision."""


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
    shipped: Artifact, rows: list[Sequence[int]], expected: Floats, precision: str
) -> None:
    found = TorchEngine(shipped, device="cuda", precision=precision).probabilities(rows)
    assert np.abs(found - expected).max() < TOLERANCE[precision]


@pytest.mark.parametrize("precision", sorted(DTYPES))
def test_a_text_has_the_same_scores_alone_and_among_others(
    shipped: Artifact, rows: list[Sequence[int]], precision: str
) -> None:
    engine = TorchEngine(shipped, device="cuda", precision=precision)
    together = engine.probabilities(rows)[:32]
    alone = np.concatenate([engine.probabilities([row]) for row in rows[:32]])
    assert np.abs(together - alone).max() < TOLERANCE[precision]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_kernel_for_texts_of_any_length_is_there_and_right(shipped: Artifact, precision: str) -> None:
    """`varlen_kernel` compares it with attention by groups, and gives None where they differ."""
    config = shipped.config
    assert varlen_kernel("cuda", DTYPES[precision], config.n_heads, config.dim // config.n_heads) is not None


def test_a_tagger_chooses_the_gpu_and_says_so() -> None:
    tagger = EmotionTagger.load()
    assert "torch" == tagger.engine
    assert tagger.device.startswith("cuda")
    assert "excitement" == tagger.tag([TEXTS[0]])[0].top(1)[0].label


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns(folder: Path, tmp_path: Path, precision: str) -> None:
    """And its artifact says the same on the CPU."""
    options = ["--trunk", str(folder / "trunk"), "--epochs", "6", "--device", "cuda", "--precision", precision]
    run("fit", "--data", str(folder), *options, "--out", str(tmp_path / "toy"))
    made = artifact.load(tmp_path / "toy")
    assert made.metrics["dev"]["macro_f1_cross_fitted"] > 0.9
    assert "cuda" in made.training["recipe"]["device"]


def test_a_model_that_leaves_a_fold_out_speaks_of_it_alone(folder: Path, tmp_path: Path) -> None:
    options = ["--trunk", str(folder / "trunk"), "--device", "cuda", "--epochs", "2", "--set", "fold=1/2"]
    run("fit", "--data", str(folder), *options, "--out", str(tmp_path / "fold"))
    said = load_teacher(tmp_path / "fold" / "teacher.safetensors")
    assert {0, 1} == set(said.speaking_N.tolist())
    assert (said.probabilities_NK.any(axis=1) == (said.speaking_N == 1)).all()


class Sittings:
    """One run on the GPU, in one sitting or several."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.recipe = varied(Recipe(epochs=3, precision="fp32", max_tokens=16, batch_size=20), changes)
        self._trunk = load_trunk(str(folder / "trunk"))
        self._train, self._dev = (load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev"))

    def __call__(self, out: Path, *, stop_after: int = 10_000, resume: bool = False) -> Run:
        torch.manual_seed(self.recipe.seed)
        asked = iter(range(1, 10_000))
        dropout = {"head_dropout": self.recipe.head_dropout, "trunk_dropout": self.recipe.trunk_dropout}
        sizes = sizes_of(self.recipe.kernel_sizes)
        model = self._trunk.grow(labels=self._train.labels, max_tokens=16, kernel_size=max(sizes), **dropout)
        side_by_side(model, sizes)
        return fit(
            model,
            Tokens(self._trunk.tokenizer, max_tokens=16),
            self._train,
            self._dev,
            self.recipe,
            progress=Watchers(),
            device=torch.device("cuda"),
            checkpoints=Checkpoints(out, self.recipe, self._train, self._dev),
            resume=resume,
            stop=lambda: next(asked) == stop_after,
        )


DRAWS_NOTHING = {"head_dropout": 0, "trunk_dropout": 0, "hidden_tokens": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trainable_layers": 1, "cache_frozen": True, "ema": 0},
        {"r_drop": 0.5, "multi_sample_dropout": 3},
        {"kernel_sizes": "3+5"},
    ],
)
def test_recorded_steps_are_the_steps_as_they_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """Every batch after a shape's second one is replayed; without dropout both ways draw the same, which is nothing."""
    sittings = Sittings(folder, **DRAWS_NOTHING, **changes)
    recorded = sittings(tmp_path / "recorded")
    monkeypatch.setattr("training.fit.RecordedSteps", lambda step, device: step)
    plain = sittings(tmp_path / "plain")
    for one, other in zip(plain.history, recorded.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert one["roc_auc"] == pytest.approx(other["roc_auc"], abs=1e-3)


@pytest.mark.parametrize("changes", [{}, DRAWS_NOTHING])
def test_a_run_is_interrupted_and_resumed(folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    """State and rates included: the epochs' losses are those of the run that never stopped, but for what is drawn."""
    sittings = Sittings(folder, **changes)
    whole = sittings(tmp_path / "whole")
    with pytest.raises(Interrupted):
        sittings(tmp_path / "cut", stop_after=7)
    resumed = sittings(tmp_path / "cut", resume=True)
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=0.05 if not changes else 1e-4)
