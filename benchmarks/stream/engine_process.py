"""The engine alone, in its own process: lists of texts in, seconds out. No broker, no records, no cache."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from emotag_model.tagger import EmotionTagger
from emotag_worker.errors import LocalError
from emotag_worker.malloc import share_arenas, trim

from .lane import PASSIVE
from .measured_process import read_resident_mb


class EngineProcess:
    """A child process with a loaded tagger. It ends with its parent, because it reads from the parent's pipe.

    Attributes:
        engine, precision: the given ones, or those that `auto` chose. All workers use the same.
        spent_s: processor seconds of the last call, all threads together.
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
        opened = self._read()
        self.engine: str = opened["engine"]
        self.precision: str = opened["precision"]
        self.spent_s = 0.0

    def measure_seconds(self, texts: Sequence[str], *, batch: int | None = None) -> float:
        """Return the seconds to tokenize and tag *texts*: all at once, or in batches of *batch*, as a stream has to."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"texts": list(texts), "batch": batch or len(texts)}) + "\n")
        self._process.stdin.flush()
        measured = self._read()
        self.spent_s = measured["spent_s"]
        taken: float = measured["seconds"]
        return taken

    def environment(self) -> dict[str, str]:
        """Return the settings with which a worker runs the same engine."""
        return {"EMOTAG_MODEL__ENGINE": self.engine, "EMOTAG_MODEL__PRECISION": self.precision}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def read_resident_mb(self) -> float:
        """Return its resident memory in MB (10^6 bytes)."""
        return read_resident_mb(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LocalError(f"the engine process ended with exit code {self._process.wait()}")
        message: dict[str, Any] = json.loads(line)
        return message


def main() -> None:
    share_arenas()  # as a worker does
    tagger = EmotionTagger.load(precision=sys.argv[1])
    trim()
    _write({"engine": tagger.engine, "precision": tagger.precision})
    for line in sys.stdin:
        request = json.loads(line)
        texts, batch = request["texts"], request["batch"]
        began, spent_s = time.perf_counter(), time.process_time()
        for start in range(0, len(texts), batch):
            tagger.probabilities(tagger.tokenize(texts[start : start + batch]))
        _write({"seconds": time.perf_counter() - began, "spent_s": time.process_time() - spent_s})


def _write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
