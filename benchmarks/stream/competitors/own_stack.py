"""The do-it-yourself stack: the plain loop with another library's engine, so without any part of emotag's worker.

It tokenizes with `tokenizers`, and applies the model's thresholds with numpy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.engine.competitor_process import Sample, build, make_setting
from emotag_model.tokens import TokenIds

from . import plain
from .job import Job


class OwnTagger:
    """Converts messages to results with the engine that the job names."""

    def __init__(self, job: Job) -> None:
        setting = make_setting(Sample([], []), quick=False, configuration=job.configuration)
        trained = setting.exports.trained
        self._competitor = build(job.library, setting)
        self._tokenizer = trained.tokenizer
        self._tokenizer.enable_truncation(trained.config.max_tokens)
        self._labels = trained.config.labels
        self._thresholds = np.asarray(trained.thresholds.values, np.float32)

    def tag(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the result of each message. All of them are tagged together."""
        encodings = self._tokenizer.encode_batch_fast([message["text"] for message in messages])
        probabilities_BK = self._competitor.run([TokenIds(tuple(each.ids), False) for each in encodings])
        found: list[list[dict[str, Any]]] = [[] for _ in messages]
        for row, label in zip(*np.nonzero(probabilities_BK >= self._thresholds), strict=True):
            found[row].append({"label": self._labels[label], "score": round(float(probabilities_BK[row, label]), 4)})
        return [{"id": message["id"], "emotions": emotions} for message, emotions in zip(messages, found, strict=True)]


def main() -> None:
    job = Job.parse()
    plain.run(job, OwnTagger(job).tag)


if __name__ == "__main__":
    main()
