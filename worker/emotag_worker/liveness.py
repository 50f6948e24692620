"""The longest time of a round of the pipeline, before `/livez` counts the worker as stuck."""

from .kafka.input.broker_watch import CLOSE_S
from .kafka.input.source import LEAVE_S
from .kafka.output.deadline import OVERDUE_S, SLICE_S
from .kafka.output.sink import MAX_ABORTS, compute_pause_s
from .kafka.topics import PROBE_S
from .settings import Settings


def compute_stuck_s(settings: Settings) -> float:
    """Return a time that exceeds all deadlines between two signs of life, so that a deadline ends the worker first.

    A deadline logs its cause; a kubelet that kills the worker does not. The pipeline gives a sign of life after each
    round, and each second while it waits for the device. In between it writes at most one batch:
    """
    # 1. Write and commit until the broker timeout; if that fails, abort, for as long again.
    write_s = 2 * (settings.kafka.broker_timeout_s + SLICE_S + OVERDUE_S)
    # 2. After an abort, pause.
    pause_s = compute_pause_s(MAX_ABORTS)
    # 3. Query brokers that do not answer, with this client and another one, and leave the group.
    query_s = 2 * PROBE_S + CLOSE_S + LEAVE_S
    # 4. Compute on the host, on a machine that is busy: as long as a shutdown may take.
    return write_s + pause_s + query_s + settings.shutdown_timeout_s
