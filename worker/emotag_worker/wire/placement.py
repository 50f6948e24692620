"""Choose the partition of a result or a dead letter."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from emotag_worker.errors import SettingsError

Choice = Literal["auto", "input", "key"]


@dataclass
class Placement:
    """The rule by which the records of one topic get their partitions.

    Attributes:
        partitions: of the topic, if a record gets the partition of its input record; None if its key decides.
        recount: returns the present number of partitions of the topic. Its argument is a partition that the topic is
            expected to have, for which it waits a moment.
    """

    partitions: int | None = None
    recount: Callable[[int], int] | None = field(default=None, compare=False)
    _shared: dict[int, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def by(self) -> Literal["input", "key"]:
        """The value of `output.partition` that has this rule."""
        return "key" if self.partitions is None else "input"

    def choose(self, input_partition: int) -> int | None:
        """Return the partition for the answer to a record of *input_partition*; None if the key decides.

        An input partition that was added meanwhile has its own partition if the topic has grown, too. Otherwise it
        shares one with others, and keeps it until the worker restarts: its order remains.

        Raises:
            BrokerUnavailable: the topic may have grown, but brokers do not answer.
        """
        if self.partitions is None:
            return None
        if input_partition < self.partitions and not self._shared:
            return input_partition
        if (shared := self._shared.get(input_partition)) is not None:
            return shared
        if input_partition >= self.partitions and self.recount is not None:
            # Only the first of several is waited for: if the topic has not grown for it, it has not for the others.
            expected = self.partitions - 1 if self._shared else input_partition
            self.partitions = max(self.partitions, self.recount(expected))
        chosen = input_partition % self.partitions
        if chosen != input_partition:
            self._shared[input_partition] = chosen
        return chosen


def place_results(
    choice: Choice, inputs: int, outputs: int, *, topic: str, recount: Callable[[int], int] | None = None
) -> Placement:
    """Return the placement of the results.

    Args:
        inputs, outputs: the number of partitions of the input topic and of *topic*, the output topic.
        recount: as for `Placement`.

    Raises:
        SettingsError: results shall have the partition of their input, but the output topic has too few.
    """
    if choice == "input" and outputs < inputs:
        raise SettingsError(
            f"output.partition is input (EMOTAG_OUTPUT__PARTITION), but {topic} has {outputs} partitions and the input "
            f"topic has {inputs}; add partitions to {topic}, or set EMOTAG_OUTPUT__PARTITION=key"
        )
    return _follow_input(choice, inputs, outputs, recount)


def place_dead_letters(
    choice: Choice, inputs: int, outputs: int, *, recount: Callable[[int], int] | None = None
) -> Placement:
    """Return the placement of the dead letters: that of results, but by key if their topic has too few partitions."""
    return _follow_input(choice, inputs, outputs, recount)


def _follow_input(choice: Choice, inputs: int, outputs: int, recount: Callable[[int], int] | None) -> Placement:
    """Return the placement by the input record's partition, where *choice* and the numbers of partitions permit it."""
    follows = outputs == inputs if choice == "auto" else choice == "input" and outputs >= inputs
    return Placement(outputs, recount) if follows else Placement()
