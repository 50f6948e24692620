"""EmotionTagger: the one class a Python user imports.

>>> from emotag_model import EmotionTagger
>>> tagger = EmotionTagger.load()
>>> [emotion.label for emotion in tagger.tag(["I'm so excited about this new opportunity!"])[0].emotions]
['excitement']
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Self, get_args

import numpy as np
import numpy.typing as npt

from emotag_model.errors import DeviceFailed

from . import artifact
from .artifact import Artifact
from .engines.choice import Choice, choose, ignore_measurement
from .engines.device import choose_device, memory_bytes
from .engines.halving import compute_or_halve
from .engines.protocol import Engine, open_engine
from .long_texts.modes import LongTexts
from .long_texts.windows import join_texts, join_windows, read_windows
from .reasons.explainer import Explainer, Reasons
from .reasons.spans import Spans
from .scope.detector import Detector
from .scope.rules import TextScope, is_mostly_unknown, judge
from .spelling.emoji import remove
from .tagging import ScoredLabel, TaggedPart, Tagging
from .thresholds import Thresholds
from .tokens import MAX_CHARACTERS, TokenIds, Tokens, normalize, original_positions

TYPICAL_TOKENS, CALIBRATION_TEXTS = 24, 32
"""The batch that `seconds_per_text` measures; a GoEmotions comment has 19 tokens on average."""

CANARY = "the quick brown fox jumps over the lazy dog"
"""A harmless text: if it fails too, the cause is the device and not another text."""


class EmotionTagger:
    """A trained model on one device, ready to tag.

    Use `EmotionTagger.load`. One instance serves `concurrency` threads at a time.

    Attributes:
        labels: label names, in the order of the probabilities' columns.
        languages: the codes of the languages that the model was trained on.
        reference_stats: statistics of scores and lengths on held-out texts; None if the artifact has none.
        engine, device, precision: the names of those that run the model; `choice` records how they were chosen.
        long_texts: as in `load`.
    """

    def __init__(
        self,
        trained: Artifact,
        engine: Engine,
        choice: Choice,
        *,
        long_texts: LongTexts = "windows",
        reasons: bool = False,
    ) -> None:
        self.name = trained.name
        self.version = trained.version
        self.thresholds_version = trained.thresholds_version
        self.thresholds: Thresholds = trained.thresholds
        self.labels = trained.config.labels
        self.languages = trained.languages
        self.reference_stats = trained.reference_stats
        self.engine = engine.name
        self.device = engine.device
        self.precision = engine.precision
        self.concurrency = engine.concurrency
        self.choice = choice
        self.long_texts = long_texts
        self._engine = engine
        self._tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
        self._detector = Detector(trained.languages)
        self._explainer = Explainer(trained, self._tokens) if reasons else None

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        on: str = "auto",
        engine: str = "auto",
        precision: str = "auto",
        long_texts: LongTexts = "windows",
        reasons: bool = False,
        before_measuring: Callable[[], None] = ignore_measurement,
    ) -> Self:
        """Load an artifact, check it, open it on its device, and tag one text as a test.

        Args:
            path: the artifact's directory; without one, the model that ships with emotag.
            on: `auto` (a CUDA GPU if there is one), `cpu`, `cuda`, `cuda:N`.
            engine: `auto` (on a CPU measured once, and remembered), or one of `engines.precision.ENGINES`.
            precision: `auto` (chosen with the engine), or one of `engines.precision.PRECISIONS`.
            long_texts: `windows` (a text that is longer than the model's window is read in overlapping windows), or
                `first` (only its beginning is read).
            reasons: find the spans of each text that carry the scores: `Tagging.reasons`.
            before_measuring: called before the measurement that chooses engine and precision, which takes up to 8 s and
                happens once per machine and model.

        Raises:
            ArtifactError: the directory is not an artifact that can be trusted. The message names file and reason.
            DeviceUnknown: this machine cannot run the model on that device, engine or precision.
            DeviceFailed: the device cannot run the model at all.
            ValueError: *long_texts* has another value.
        """
        if long_texts not in get_args(LongTexts):
            raise ValueError(f"long_texts={long_texts!r} is unknown; use {' or '.join(map(repr, get_args(LongTexts)))}")
        trained = artifact.load(Path(path) if path is not None else artifact.DEFAULT)
        device = choose_device(on)
        choice = choose(trained, device=device, engine=engine, precision=precision, before_measuring=before_measuring)
        opened = open_engine(
            trained, engine=choice.engine, device=device, precision=choice.precision, explained=reasons
        )
        tagger = cls(trained, opened, choice, long_texts=long_texts, reasons=reasons)
        tagger.check_device()
        return tagger

    def tag(self, texts: Iterable[str]) -> list[Tagging]:
        """Return the result of each text, in order; an empty list for no texts.

        Args:
            texts: strings: a list, a column of a data frame, an array, a generator. A text can be empty.

        Raises:
            TypeError: *texts* is one string or a table, or one of the texts is not a string.
        """
        if isinstance(texts, str):
            raise TypeError("tag() takes a sequence of texts; for one text: tag([text])")
        if getattr(texts, "ndim", 1) > 1:  # the iteration over a data frame yields the names of its columns
            raise TypeError('tag() takes one column of texts, not a table: tag(frame["text"])')
        given = list(texts)
        for position, text in enumerate(given):
            if not isinstance(text, str):
                raise TypeError(
                    f"text {position} (counted from 0) has the type {type(text).__name__} and is not a string: drop"
                    " missing texts first"
                )
        tokens = self.tokenize(given)
        rows = [row for text in tokens for row in text.rows]
        ends = list(accumulate(len(text.rows) for text in tokens))
        places = [slice(end - len(text.rows), end) for text, end in zip(tokens, ends, strict=True)]
        reasons: list[Reasons] = [{}] * len(given)
        if self._explainer is None:
            windows_NK = self.probabilities(rows)
        else:
            windows_NK, maxima = self._engine.explain([row.ids for row in rows])
            spans_NKS3 = self._explainer.find_spans(maxima, rows)
            spans = [spans_NKS3[place] for place in places]
            reasons = list(map(self._explainer.read, given, tokens, (windows_NK[place] for place in places), spans))
        parts = [windows_NK[place] for place in places]
        probabilities_BK = join_texts(tokens, windows_NK, self.labels)
        scores = [dict(zip(self.labels, row_K, strict=True)) for row_K in probabilities_BK.tolist()]
        found = zip(self.emotions(probabilities_BK), scores, self.find_scopes(given, tokens), reasons, strict=True)
        return [
            Tagging(emotions, row, ids.truncated, *scope, self._tag_parts(text, ids, part_WK), why)
            for (emotions, row, scope, why), text, ids, part_WK in zip(found, given, tokens, parts, strict=True)
        ]

    def _tag_parts(
        self, text: str, tokens: TokenIds, probabilities_WK: npt.NDArray[np.float32]
    ) -> tuple[TaggedPart, ...] | None:
        if not tokens.windows:
            return None
        positions = original_positions(text)
        found = zip(tokens.windows, self.emotions(probabilities_WK), strict=True)
        return tuple(TaggedPart(positions[each.start], positions[each.end], emotions) for each, emotions in found)

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of each text, in order; needs no device."""
        found = self._read(texts)
        return self._explainer.locate(texts, found) if self._explainer else found

    def _read(self, texts: Sequence[str]) -> list[TokenIds]:
        found = self._tokens(texts) if texts else []
        if self.long_texts == "windows":
            for row, tokens in enumerate(found):
                if tokens.truncated:
                    found[row] = read_windows(self._tokens, texts[row])
        return found

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probabilities of a text, [K], from those of its windows."""
        return join_windows(probabilities_WK, self.labels)

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        """Return the scope and the language of each text, in order; needs no device.

        Args:
            tokens: of the same texts, from `tokenize`.
        """
        return list(map(self._find_scope, texts, tokens))

    def _find_scope(self, text: str, tokens: TokenIds) -> TextScope:
        detected, read = self._detector.detect(text), tokens
        if detected.has_emoji and is_mostly_unknown(tokens.unknown, tokens.pieces):
            # Unknown emoji next to words do not make a text unreadable.
            (read,) = self._read([remove(normalize(text)[:MAX_CHARACTERS])])
        return judge(
            detected,
            unknown=read.unknown,
            pieces=read.pieces,
            languages=self.languages,
            is_described=tokens.is_described,
        )

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[ScoredLabel, ...]]:
        """Return the labels of each text at or over their own threshold, best first."""
        found: list[list[ScoredLabel]] = [[] for _ in probabilities_BK]
        texts, labels = np.nonzero(self.thresholds.decide(probabilities_BK))
        scores = probabilities_BK[texts, labels]
        best_first = np.lexsort((labels, -scores))
        for b, k, score in zip(
            texts[best_first].tolist(), labels[best_first].tolist(), scores[best_first].tolist(), strict=True
        ):
            found[b].append(ScoredLabel(self.labels[k], score))
        return [tuple(emotions) for emotions in found]

    def probabilities(self, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        """Return the probability of every label for each text, [B, K], in order; any number of texts.

        The probabilities of a text with windows are joined from all of its windows.
        """
        if not any(text.windows for text in texts):
            return self._engine.probabilities([text.ids for text in texts])
        rows_NK = self._engine.probabilities([row.ids for text in texts for row in text.rows])
        return join_texts(texts, rows_NK, self.labels)

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        """Return probabilities even if the device fails on some of the texts.

        A failing batch is halved until the failing text is alone: O(log n) more forwards for each of those texts.

        Returns:
            probabilities_BK, and the error of every failed text by its index. The row of a failed text is zero.

        Raises:
            DeviceFailed: the device fails on a harmless text too.
        """
        return self._halve(range(len(texts)), lambda part: self.probabilities(texts[part.start : part.stop]))

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        """Return what `probabilities_or_errors` returns, and between both the spans of each text and label.

        The tagger must have been loaded with reasons. A failed text has no spans.

        Args:
            texts: rows of `tokenize`: texts without windows, or windows.

        Raises:
            DeviceFailed: the device fails on a harmless text too.
        """
        assert self._explainer is not None
        maxima = self._explainer.allocate(len(texts))

        def compute(part: range) -> npt.NDArray[np.float32]:
            probabilities_BK, found = self._engine.explain([text.ids for text in texts[part.start : part.stop]])
            maxima.fill(slice(part.start, part.stop), found)
            return probabilities_BK

        probabilities_BK, errors = self._halve(range(len(texts)), compute)
        failed = list(errors)
        maxima.values_BF[failed], maxima.positions_BF[failed] = 0, 0  # NaN has no valid position
        return probabilities_BK, self._explainer.find_spans(maxima, texts), errors

    def _halve(
        self, texts: range, compute: Callable[[range], npt.NDArray[np.float32]]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        labels = len(self.labels)
        return compute_or_halve(texts, compute, labels=labels, recover=self._engine.recover, check=self.check_device)

    @property
    def computed_tokens(self) -> int:
        """Tokens that the device has computed since the start, filling and repeated batches included."""
        return self._engine.computed_tokens

    def memory_bytes(self) -> dict[str, int]:
        """Return the device's memory that this process holds, by kind; see `device.memory_bytes`."""
        return memory_bytes(self.device)

    def seconds_per_text(self) -> float:
        """Measure the time per typical text, in the second of two batches: the first one compiles kernels."""
        texts = [TokenIds((1,) * TYPICAL_TOKENS, truncated=False)] * CALIBRATION_TEXTS
        self.probabilities_or_errors(texts)  # too little memory for this many texts must not prevent the start
        began = time.perf_counter()
        self.probabilities_or_errors(texts)
        return (time.perf_counter() - began) / len(texts)

    def check_device(self) -> None:
        """Tag the canary.

        Raises:
            DeviceFailed: the canary failed; the cause is the device's own error.
        """
        try:
            probabilities_BK = self.probabilities(self.tokenize([CANARY]))
        except Exception as error:
            raise DeviceFailed(
                f"{self._describe()} failed: {error}; try another device, engine or precision"
            ) from error
        if not np.isfinite(probabilities_BK).all():
            raise DeviceFailed(
                f"{self._describe()} computed values that are not finite; try another device, engine or precision"
            )

    def _describe(self) -> str:
        """Return the device and the model in words, for an error."""
        return f"{self.name} on device {self.device} with engine {self.engine} in {self.precision}"
