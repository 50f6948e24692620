"""The engine alone in a process of its own: lists of texts in, seconds out. No broker, no JSON of records, no cache."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from model.tagger import EmotionTagger
from worker.local.server import LocalError
from worker.memory import give_back, share_arenas

from .contestant import resident_mb
from .threads import PASSIVE


class EngineProcess:
    """A child process with a loaded tagger; ends with its parent, whose pipe it reads.

    Attributes:
        precision: the one given, or what `auto` chose there; every contestant is told to take the same.
        spent_s: processor seconds of the last texts, all threads together.
    """

    def __init__(self, precision: str = "auto") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, precision],
            env={**os.environ, **PASSIVE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.precision: str = self._answer()["precision"]
        self.spent_s = 0.0

    def seconds(self, texts: Sequence[str], *, step: int | None = None) -> float:
        """How long tokenising and tagging *texts* takes: all at once, or *step* by *step* as a stream has to."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"texts": list(texts), "step": step or len(texts)}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.spent_s = answer["spent_s"]
        taken: float = answer["seconds"]
        return taken

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def resident_mb(self) -> float:
        """Its resident memory in MB of a million bytes."""
        return resident_mb(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LocalError(f"the engine's process ended with exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def main() -> None:
    share_arenas()  # as a worker does
    tagger = EmotionTagger.load(precision=sys.argv[1])
    give_back()
    _say({"precision": tagger.precision})
    for line in sys.stdin:
        asked = json.loads(line)
        texts, step = asked["texts"], asked["step"]
        began, spent_s = time.perf_counter(), time.process_time()
        for start in range(0, len(texts), step):
            tagger.probabilities(tagger.tokenise(texts[start : start + step]))
        _say({"seconds": time.perf_counter() - began, "spent_s": time.process_time() - spent_s})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
