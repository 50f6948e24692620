"""EmotionTagger: the one class a Python user imports.

>>> from model.tagger import EmotionTagger
>>> tagger = EmotionTagger.load()
>>> [emotion.label for emotion in tagger.tag(["I'm so excited about this new opportunity!"])[0].emotions]
['excitement']
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from . import artifact, device
from .artifact import Artifact
from .batching import plan_batches
from .distilbert_cnn import DistilBertCNN
from .thresholds import Thresholds
from .tokens import TokenIds, Tokens, pad

CPU_BATCH_TOKENS = 2_048
"""Padded tokens of one forward on a CPU: above it throughput no longer grows, and working memory does."""

CUDA_BATCH_TOKENS = 65_536
"""The same on a GPU, which needs far more work at a time to be busy."""

CANARY = "the quick brown fox jumps over the lazy dog"
"""A text known to be harmless: where it fails too, the device is at fault and not the text beside it."""


class DeviceFailed(Exception):
    """The device cannot run the model at all, not even on a harmless text."""


@dataclass(frozen=True, slots=True)
class Emotion:
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

    Use `EmotionTagger.load`. One instance serves one thread at a time.
    """

    def __init__(self, trained: Artifact, *, on: torch.device, precision: str) -> None:
        self.name = trained.name
        self.version = trained.version
        self.thresholds_version = trained.thresholds_version
        self.precision = precision
        self.device = on
        self.timings_ms: Mapping[str, float] = {}
        self.thresholds: Thresholds = trained.thresholds
        self.batch_tokens = CUDA_BATCH_TOKENS if on.type == "cuda" else CPU_BATCH_TOKENS
        self._model: DistilBertCNN = device.cast(trained.model, precision).to(on)
        self._tokens = Tokens(trained.tokenizer, max_tokens=trained.model.config.max_tokens)
        # oneDNN compiles a low-precision kernel for every shape it meets; fp32 pays more for the extra padding.
        self._round_to = 1 if precision == "fp32" and on.type == "cpu" else 8

    @classmethod
    def load(cls, path: str | Path | None = None, *, on: str = "auto", precision: str = "auto") -> Self:
        """Load an artifact and get it ready: checked, on its device, kernels warm.

        Args:
            path: the artifact's directory; the model that ships with emotag where none is given.
            on: `auto` (a CUDA GPU where there is one), `cpu`, `cuda`, `cuda:N`.
            precision: `auto` (on a CPU a measurement of about a second), `fp32`, `bf16`, `fp16`.

        Raises:
            ArtifactError: the directory is not an artifact that can be trusted; says which file and why.
            DeviceUnknown: the device or the precision is unknown here.
        """
        trained = artifact.load(Path(path) if path is not None else artifact.DEFAULT)
        torch.set_num_threads(device.usable_cores())
        chosen = device.choose_device(on)
        chosen_precision, timings_ms = device.choose_precision(precision, trained.model, chosen)
        tagger = cls(trained, on=chosen, precision=chosen_precision)
        tagger.timings_ms = timings_ms
        tagger.check_device()
        return tagger

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names, in the order of the probabilities' columns."""
        return self._model.config.labels

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
            Tagging(self.emotions(row_K), dict(zip(self.labels, row_K.tolist(), strict=True)), text.truncated)
            for row_K, text in zip(probabilities_BK, tokens, strict=True)
        ]

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text, in order; needs no device."""
        return self._tokens(texts) if texts else []

    def emotions(self, probabilities_K: npt.NDArray[np.float32]) -> tuple[Emotion, ...]:
        """The labels of one text at or over their own threshold, best first."""
        chosen = np.flatnonzero(self.thresholds.decide(probabilities_K[None])[0])
        best_first = chosen[np.argsort(-probabilities_K[chosen], kind="stable")]
        return tuple(Emotion(self.labels[k], float(probabilities_K[k])) for k in best_first)

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        """Probability of every label for each text, [B, K], in order; any number of texts."""
        result_BK = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for batch in plan_batches([len(text.ids) for text in texts], max_tokens=self.batch_tokens):
            result_BK[batch] = self._forward([texts[index].ids for index in batch])
        return result_BK

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
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # after out-of-memory the halves need what the whole had reserved
        if len(texts) == 1:
            self.check_device()
            return np.zeros((1, len(self.labels)), dtype=np.float32), {0: failure}
        middle = len(texts) // 2
        left_BK, left_errors = self.probabilities_or_errors(texts[:middle])
        right_BK, right_errors = self.probabilities_or_errors(texts[middle:])
        right_errors = {middle + index: error for index, error in right_errors.items()}
        return np.concatenate([left_BK, right_BK]), left_errors | right_errors

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

    def _forward(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        ids_BL, mask_BL = pad(rows, pad_id=self._model.config.pad_token_id, round_to=self._round_to)
        logits_BK = self._model(torch.from_numpy(ids_BL).to(self.device), torch.from_numpy(mask_BL).to(self.device))
        return torch.sigmoid(logits_BK).cpu().numpy()
