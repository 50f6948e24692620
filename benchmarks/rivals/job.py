"""What a rival is to do, and how its results look."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from model.tagger import EmotionTagger


@dataclass(frozen=True)
class Job:
    """One rival's work.

    Attributes:
        batch: the most records that are tagged and committed together.
        wait_s: how long a batch that is not full is waited for.
        exactly_once: with transactions, where the rival offers them.
    """

    bootstrap_servers: str
    group: str
    input: str
    output: str
    precision: str
    batch: int
    wait_s: float = 0.1
    exactly_once: bool = False

    @classmethod
    def given(cls) -> Self:
        """The one on the command line."""
        return cls(**json.loads(sys.argv[1]))

    def argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class Answers:
    """Messages to results, with the model that everybody has."""

    def __init__(self, job: Job) -> None:
        self._tagger = EmotionTagger.load(precision=job.precision)

    def __call__(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The result of each message, all tagged together."""
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
