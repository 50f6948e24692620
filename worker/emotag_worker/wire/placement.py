"""Choose the partition of a result or a dead letter."""

from dataclasses import dataclass
from typing import Literal

from emotag_worker.errors import SettingsError

Choice = Literal["auto", "input", "key"]


@dataclass(frozen=True)
class Placement:
    """The rule by which the records of one topic get their partitions.

    Attributes:
        partitions: of the topic, if a record gets the partition of its input record; None if its key decides.
    """

    partitions: int | None = None

    @property
    def by(self) -> Literal["input", "key"]:
        """The value of `output.partition` that has this rule."""
        return "key" if self.partitions is None else "input"

    def choose(self, input_partition: int) -> int | None:
        """Return the partition for the answer to a record of *input_partition*; None if the key decides.

        A partition that was added to the input meanwhile shares a partition with others: its order remains.
        """
        return None if self.partitions is None else input_partition % self.partitions


BY_KEY = Placement()


def place_results(choice: Choice, inputs: int, outputs: int, *, topic: str) -> Placement:
    """Return the placement of the results.

    Args:
        inputs, outputs: the number of partitions of the input topic and of *topic*, the output topic.

    Raises:
        SettingsError: results shall have the partition of their input, but the output topic has too few.
    """
    if choice == "input" and outputs < inputs:
        raise SettingsError(
            f"output.partition is input (EMOTAG_OUTPUT__PARTITION), but {topic} has {outputs} partitions and the input "
            f"topic has {inputs}; add partitions to {topic}, or set EMOTAG_OUTPUT__PARTITION=key"
        )
    return _follow_input(choice, inputs, outputs)


def place_dead_letters(choice: Choice, inputs: int, outputs: int) -> Placement:
    """Return the placement of the dead letters: that of results, but by key if their topic has too few partitions."""
    return _follow_input(choice, inputs, outputs)


def _follow_input(choice: Choice, inputs: int, outputs: int) -> Placement:
    """Return the placement by the input record's partition, where *choice* and the numbers of partitions permit it."""
    follows = outputs == inputs if choice == "auto" else choice == "input" and outputs >= inputs
    return Placement(outputs) if follows else BY_KEY
