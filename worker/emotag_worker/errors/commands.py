"""Why a command cannot do what it was asked to do."""

from collections.abc import Sequence

from .base import RESTART, WorkerError


class SettingsError(WorkerError):
    """A setting that cannot be used: its name, its value and the values it allows. The message never has a secret."""


class RequestRefused(WorkerError):
    """The brokers refuse a request, and would refuse it again."""


class GroupInUse(WorkerError):
    """The offsets of a group with members cannot be set: its members would overwrite them."""

    def __init__(self, group_id: str, members: int) -> None:
        super().__init__(
            f"the group {group_id} (EMOTAG_KAFKA__GROUP_ID) has members: {members}; stop its workers first. A worker "
            "that was killed is a member until its session ends: after 6 s, or 45 s with group.protocol=consumer"
        )


class ProduceIncomplete(WorkerError):
    """Not every line became a record of the input topic, and why."""


class NoSuchReason(WorkerError):
    """A reason that no dead letter can have."""

    def __init__(self, given: str, reasons: Sequence[str], guess: str) -> None:
        super().__init__(f"--reason {given} is not a reason; {guess}use one of: {', '.join(reasons)}")


class ReplayRefused(WorkerError):
    """A replay that cannot be done as it was requested, and how to request it instead."""


class MayBeRepeated(ReplayRefused):
    """The replay could put records back a second time."""

    def __init__(self, partition: int, remembered_days: int) -> None:
        super().__init__(
            f"partition {partition} has dead letters older than {remembered_days} days and no stored replay progress: "
            f"Kafka may have forgotten that they were put back; choose where to begin with --from beginning or "
            f"--from {partition}:0"
        )


class ProgressUnreadable(WorkerError):
    """The stored progress of earlier replays cannot be read."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"the stored replay progress of partition {partition} was not written by emotag; choose where to begin "
            "with: emotag dlq replay --from"
        )


class LocalError(WorkerError):
    """A local server cannot be started, because something is missing on this machine; and what to do."""


class LocalServerFailed(LocalError):
    """A local server ended or did not respond, or could not be downloaded."""

    exit_code = RESTART
