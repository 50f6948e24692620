"""`emotag run` without its engine: every forward pass returns probabilities that were computed at the start.

Everything else is as in a worker: reading, decoding, tokenizing, caching, thresholds, encoding, transactions. So its
processor time is the time of everything but the engine. It cannot be found as a difference: the engine's own time
varies by more.
"""

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds
from emotag_worker.local import LocalWorker

KNOWN_TEXTS = 64
"""Texts whose probabilities are returned in turn, so that results have as many emotions as real ones."""


class EnginelessWorker(LocalWorker):
    """A worker that computes no forward pass after its first one."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", __name__]


def main() -> None:
    from benchmarks.texts import read_texts
    from emotag_worker.cli import main as run

    known = read_texts()[0][:KNOWN_TEXTS]
    compute = EmotionTagger.probabilities
    computed: list[npt.NDArray[np.float32]] = []

    def probabilities(self: EmotionTagger, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        if not computed:
            computed.append(compute(self, self.tokenize(known)))
        return np.resize(computed[0], (len(texts), len(self.labels)))

    EmotionTagger.probabilities = probabilities  # type: ignore[method-assign]
    sys.argv[1:] = ["run"]
    run()


if __name__ == "__main__":
    main()
