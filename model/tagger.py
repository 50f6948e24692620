"""EmotionTagger: the one class a Python user imports.

>>> from model.tagger import EmotionTagger
>>> tagger = EmotionTagger.load()
>>> [emotion.label for emotion in tagger.tag(["I'm so excited about this new opportunity!"])[0].emotions]
['excitement']
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import artifact
from .artifact import Artifact
from .choice import Choice, choose
from .device import choose_device, memory_bytes
from .engine import Engine, open_engine
from .thresholds import Thresholds
from .tokens import TokenIds, Tokens

TYPICAL_TOKENS, CALIBRATION_TEXTS = 24, 32
"""The batch that `seconds_per_text` makes up; a GoEmotions comment has 19 tokens on average."""

CANARY = "the quick brown fox jumps over the lazy dog"
"""A text known to be harmless: where it fails too, the device is at fault and not the text beside it."""


class DeviceFailed(Exception):
    """The device cannot run the model at all, not even on a harmless text."""


class Emotion(NamedTuple):
    """One label and its probability in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Tagging:
    """What the model says of one text.

    Attributes:
        emotions: the labels at or over their own threshold, best first; can be empty.
        scores: the probability of every label, in the model's order.
        truncated: the text was longer than the model's window, and judged by its beginning.
    """

    emotions: tuple[Emotion, ...]
    scores: Mapping[str, float]
    truncated: bool

    def top(self, k: int) -> tuple[Emotion, ...]:
        """The *k* strongest labels, whatever their thresholds."""
        best = sorted(self.scores.items(), key=lambda item: -item[1])
        return tuple(Emotion(label, score) for label, score in best[:k])


class EmotionTagger:
    """A trained model on one device, ready to tag.

    Use `EmotionTagger.load`. One instance serves `concurrency` threads at a time.

    Attributes:
        labels: label names, in the order of the probabilities' columns.
        reference: what its scores and texts look like on held-out texts, where the artifact says so.
        engine, device, precision: what runs the model, and `choice` how that came about.
    """

    def __init__(self, trained: Artifact, engine: Engine, choice: Choice) -> None:
        self.name = trained.name
        self.version = trained.version
        self.thresholds_version = trained.thresholds_version
        self.thresholds: Thresholds = trained.thresholds
        self.labels = trained.config.labels
        self.reference = trained.reference
        self.engine = engine.name
        self.device = engine.device
        self.precision = engine.precision
        self.concurrency = engine.concurrency
        self.choice = choice
        self._engine = engine
        self._tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, on: str = "auto", engine: str = "auto", precision: str = "auto"
    ) -> Self:
        """Load an artifact and get it ready: checked, on its device, proven on one text.

        Args:
            path: the artifact's directory; the model that ships with emotag where none is given.
            on: `auto` (a CUDA GPU where there is one), `cpu`, `cuda`, `cuda:N`.
            engine: `auto` (on a CPU measured once, and remembered), `openvino`, `torch`.
            precision: `auto` (likewise), `fp32`, `bf16`, `int8`, `fp16`.

        Raises:
            ArtifactError: the directory is not an artifact that can be trusted; says which file and why.
            DeviceUnknown: the device, the engine or the precision is unknown here.
        """
        trained = artifact.load(Path(path) if path is not None else artifact.DEFAULT)
        device = choose_device(on)
        choice = choose(trained, device=device, engine=engine, precision=precision)
        opened = open_engine(trained, engine=choice.engine, device=device, precision=choice.precision)
        tagger = cls(trained, opened, choice)
        tagger.check_device()
        return tagger

    def tag(self, texts: Sequence[str]) -> list[Tagging]:
        """Emotions of each text, in order.

        Raises:
            TypeError: *texts* is one string and not a sequence of them.
        """
        if isinstance(texts, str):
            raise TypeError("tag() takes a sequence of texts; for one text: tag([text])")
        tokens = self.tokenise(texts)
        probabilities_BK = self.probabilities(tokens)
        return [
            Tagging(emotions, dict(zip(self.labels, row_K.tolist(), strict=True)), text.truncated)
            for emotions, row_K, text in zip(self.emotions(probabilities_BK), probabilities_BK, tokens, strict=True)
        ]

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text, in order; needs no device."""
        return self._tokens(texts) if texts else []

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[Emotion, ...]]:
        """The labels of each text at or over their own threshold, best first."""
        found: list[list[Emotion]] = [[] for _ in probabilities_BK]
        texts, labels = np.nonzero(self.thresholds.decide(probabilities_BK))
        scores = probabilities_BK[texts, labels]
        best_first = np.lexsort((labels, -scores))
        for b, k, score in zip(
            texts[best_first].tolist(), labels[best_first].tolist(), scores[best_first].tolist(), strict=True
        ):
            found[b].append(Emotion(self.labels[k], score))
        return [tuple(emotions) for emotions in found]

    def probabilities(self, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        """Probability of every label for each text, [B, K], in order; any number of texts."""
        return self._engine.probabilities([text.ids for text in texts])

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        """As `probabilities`, but a text on which the device fails harms no other.

        A failing batch is halved until the guilty text stands alone: O(log n) forwards more for each of them.

        Returns:
            probabilities_BK, and the error of every text that has none (its row is zero).

        Raises:
            DeviceFailed: the device fails on a harmless text too.
        """
        try:
            probabilities_BK = self.probabilities(texts)
        except Exception as error:  # whatever a kernel or a driver raises  # noqa: BLE001
            failure: Exception = error
        else:
            finite_B = np.isfinite(probabilities_BK).all(axis=1)
            if finite_B.all():
                return probabilities_BK, {}
            failure = ArithmeticError("the model's output is not a finite number")
        self._engine.recover()
        if len(texts) == 1:
            self.check_device()
            return np.zeros((1, len(self.labels)), dtype=np.float32), {0: failure}
        middle = len(texts) // 2
        left_BK, left_errors = self.probabilities_or_errors(texts[:middle])
        right_BK, right_errors = self.probabilities_or_errors(texts[middle:])
        right_errors = {middle + index: error for index, error in right_errors.items()}
        return np.concatenate([left_BK, right_BK]), left_errors | right_errors

    @property
    def computed_tokens(self) -> int:
        """Tokens that the device has computed since it was opened, filling and repeated batches included."""
        return self._engine.computed_tokens

    def memory_bytes(self) -> dict[str, int]:
        """What this process holds of the device's memory, by kind; as `device.memory_bytes`."""
        return memory_bytes(self.device)

    def seconds_per_text(self) -> float:
        """What a typical text costs the device: the second of two batches, since the first compiles kernels."""
        texts = [TokenIds((1,) * TYPICAL_TOKENS, truncated=False)] * CALIBRATION_TEXTS
        self.probabilities_or_errors(texts)  # a device without the memory for so many is no reason not to start
        began = time.perf_counter()
        self.probabilities_or_errors(texts)
        return (time.perf_counter() - began) / len(texts)

    def check_device(self) -> None:
        """Run the canary.

        Raises:
            DeviceFailed: it failed, with the device's own error as the cause.
        """
        try:
            probabilities_BK = self.probabilities(self.tokenise([CANARY]))
        except Exception as error:
            raise DeviceFailed(f"{self.device} cannot run {self.name} at {self.precision}: {error}") from error
        if not np.isfinite(probabilities_BK).all():
            raise DeviceFailed(
                f"{self.device} gives {self.name} at {self.precision} results that are not finite numbers"
            )
