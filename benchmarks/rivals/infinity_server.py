"""infinity-emb's engine behind stdin and stdout: run by `infinity.py`, in infinity-emb's own libraries."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Any, TextIO


class _Empty(ModuleType):
    """A module that has whatever class is asked of it, and nothing in that."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


async def serve(answers: TextIO) -> None:
    """Choose a batch size, then answer lines of texts with lines of scores until there are none."""
    import torch

    config = json.loads(sys.stdin.readline())
    torch.set_num_threads(config["threads"])
    labels = config["labels"]
    size = await _best_size(config)
    engine = _engine(config["model"], size)
    async with engine:
        await engine.classify(sentences=config["texts"])
        _write(answers, {"version": version("infinity-emb"), "size": size})
        while line := sys.stdin.readline():
            found, _ = await engine.classify(sentences=json.loads(line)["texts"])
            _write(answers, {"scores": [_row(answer, labels) for answer in found]})


async def _best_size(config: dict[str, Any]) -> int:
    if len(config["sizes"]) == 1:
        return int(config["sizes"][0])
    taken_s: dict[int, float] = {}
    for size in config["sizes"]:
        engine = _engine(config["model"], size)
        async with engine:  # which gives nothing to name
            await engine.classify(sentences=config["texts"])
            began = time.perf_counter()
            await engine.classify(sentences=config["texts"])
            taken_s[size] = time.perf_counter() - began
    return min(taken_s, key=taken_s.__getitem__)


def _engine(model: str, size: int) -> Any:
    # What it is made of imports `datasets` where that is installed, to train. That of the environment below needs a
    # newer numpy than it has: an empty one takes its place.
    sys.modules["datasets"] = _Empty("datasets")
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    return AsyncEmbeddingEngine.from_args(
        EngineArgs(
            model_name_or_path=model,
            engine="torch",
            device="cpu",
            dtype="float32",
            batch_size=size,
            model_warmup=False,  # it warms up with 512 tokens, which this model does not take
        )
    )


def _row(answer: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[float]:
    scores = {found["label"]: float(found["score"]) for found in answer}
    return [scores[label] for label in labels]


def _write(answers: TextIO, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    asyncio.run(serve(own))
