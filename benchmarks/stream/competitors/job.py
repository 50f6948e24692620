"""The work of a competitor, and the results that it writes."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from emotag_model.tagger import EmotionTagger


@dataclass(frozen=True)
class Job:
    """One competitor's work.

    Attributes:
        engine, precision: of emotag, for competitors that run its engine.
        library, configuration: of the competitor's own engine: a module of `benchmarks.engine.competitors`, and the
            configuration that was fastest.
        batch: the most records that it tags and commits together.
        wait_s: longest wait for more records in a batch that is not full.
        exactly_once: use transactions, if the competitor offers them.
    """

    bootstrap_servers: str
    group: str
    input: str
    output: str
    engine: str
    precision: str
    batch: int
    wait_s: float = 0.1
    exactly_once: bool = False
    library: str = ""
    configuration: str = ""

    @classmethod
    def parse(cls) -> Self:
        """Return the job on the command line."""
        return cls(**json.loads(sys.argv[1]))

    def argument(self) -> str:
        """Return the job as an argument for the command line."""
        return json.dumps(asdict(self))


class MessageTagger:
    """Converts messages to results, with the engine that all these competitors share."""

    def __init__(self, job: Job) -> None:
        self._tagger = EmotionTagger.load(engine=job.engine, precision=job.precision)

    def tag(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the result of each message. All of them are tagged together."""
        # Not the worker's encoder: a competitor gets the model, and the JSON that its own users would write.
        taggings = self._tagger.tag([message["text"] for message in messages])
        return [
            {
                "id": message["id"],
                "emotions": [
                    {"label": emotion.label, "score": round(emotion.score, 4)} for emotion in tagging.emotions
                ],
            }
            for message, tagging in zip(messages, taggings, strict=True)
        ]
