"""infinity-emb: its batching engine with its torch backend, by its `classify` route.

It needs older versions of what the others need, which `make bench` lays in a folder of its own. So it runs in one more
process, with that folder before all others.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import Probabilities, Rival, Setting, hugging_face_folder

NAME = "infinity-emb"
ROOT = Path(__file__).parents[2]
USUAL_SIZE = 32
SIZES = (32, 64, 128)


def build(setting: Setting) -> Rival:
    """Its engine at the batch size that suits it best; a quick run takes its default.

    Raises:
        ModuleNotFoundError: its libraries are not where `make bench` lays them.
        RuntimeError: it does not start.
    """
    libraries = Path(sys.prefix) / "infinity"
    if not libraries.is_dir():
        raise ModuleNotFoundError(f"its libraries are not in {libraries}; make bench lays them there")
    sizes = (USUAL_SIZE,) if setting.quick else SIZES
    config = {
        "model": str(hugging_face_folder.path(setting.exports)),
        "labels": setting.exports.trained.config.labels,
        "threads": setting.cores,
        "sizes": sizes,
        "texts": setting.texts,
    }
    server = _Server(libraries, config)
    note = f"{server.version}, torch, float32, at most {server.size} texts a batch"
    return Rival(NAME, "texts", server.run, note, server.close)  # type: ignore[arg-type]


class _Server:
    """The process, and lines of JSON to and from it."""

    def __init__(self, libraries: Path, config: dict[str, object]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rivals.infinity_server"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(libraries), "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._ask(config)
        self.version, self.size = ready["version"], ready["size"]

    def run(self, texts: Sequence[str]) -> Probabilities:
        """Scores of all labels, [B, K]."""
        return np.asarray(self._ask({"texts": list(texts)})["scores"], dtype=np.float32)

    def close(self) -> None:
        """It ends once nobody asks any more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)

    def _ask(self, question: dict[str, object]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"its process ended with exit code {self._process.wait()}")
        answer: dict[str, object] = json.loads(line)
        return answer
