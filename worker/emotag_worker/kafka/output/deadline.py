"""Calls into the Kafka client, which may never return, and a deadline for them."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from emotag_model.daemon_threads import Background
from emotag_worker.errors import BrokerUnavailable, ClientStuck, StopWorker
from emotag_worker.kafka.broker_errors import explain_fatal, stop_if_denied
from emotag_worker.kafka.connection import get_connection

SLICE_S = 5.0
"""Longest single call into librdkafka: an error that ends the worker is noticed after this time at the latest."""

NUDGE_S = 1.0
"""Wait for a call before nudging the client, and the longest wait for a nudge. Calls normally take milliseconds."""

HUNG = 5
"""Number of nudges that brokers answered, long after a call's own timeout: from then on the call counts as hung."""

FUTILE = 20
"""Number of nudges that brokers answered while no call succeeded: from then on retrying is futile."""

OVERDUE_S = 1.0
"""Time after its timeout and the deadline when a call counts as hung."""


class Deadline:
    """Repeats calls into the client until they succeed or the brokers have been gone for too long.

    Calls run in a thread, because some calls exceed their timeout or have none: `send_offsets_to_transaction` never
    returns if the connection to the group coordinator broke (librdkafka issue 5456, open as of 2.16), and a commit
    waits for a paused broker. Such a client never recovers: the worker ends, and the next worker continues.

    Args:
        producer: nudged during a long call with a request for metadata. A client that waits for a coordinator wakes up
            only if the state of a connection changes, and connects only if it has something to request.

    Attributes:
        topic: the topic of these requests.
    """

    def __init__(self, producer: Producer, deadline_s: float) -> None:
        self._producer = producer
        self._deadline_s = deadline_s
        self._thread = Background("sink")
        self.topic = ""
        self._answered = 0
        self.restart()

    def restart(self) -> None:
        """Start the time again."""
        self._at = time.monotonic() + self._deadline_s

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; never below 0."""
        return max(0.0, self._at - time.monotonic())

    @property
    def futile(self) -> bool:
        """Brokers have answered for a long time, but no call has succeeded."""
        return self._answered >= FUTILE

    def retry(self, doing: str, call: Callable[[float], Any], *, may_retry: Callable[[KafkaError], bool]) -> None:
        """Call until a call succeeds.

        Args:
            doing: the step that the call performs, for error messages.
            call: receives the number of seconds that the call may take.
            may_retry: returns True if another call may succeed after the error; may raise another error instead.

        Raises:
            BrokerUnavailable: no call succeeded before the deadline.
            StopWorker: no call will succeed; `ClientStuck` if brokers answer and only the client hangs.
        """
        while True:
            slice_s = min(SLICE_S, max(0.1, self.left_s))
            try:
                self._await(doing, self._thread.submit(call, slice_s), slice_s)
            except TimeoutError as hung:
                raise self.explain_outage(doing) from hung
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                stop_if_denied(error)
                if error.fatal():
                    raise explain_fatal(doing, error) from raised
                if not may_retry(error):
                    raise StopWorker(f"{doing} failed: {error.str()}; restart the worker") from raised
                if not self.left_s:
                    raise self.explain_outage(doing, error) from raised
                time.sleep(min(0.1, self.left_s))  # the call may have failed at once
            else:
                self._answered = 0
                return

    def explain_outage(self, doing: str, error: KafkaError | None = None) -> BrokerUnavailable:
        """Return the error for a deadline that passed; arguments as for `Connection.explain_outage`."""
        self._producer.poll(0)  # runs the error callback, which receives the cause
        return get_connection(self._producer).explain_outage(doing, self._deadline_s, error)

    def _await(self, doing: str, answer: Future[Any], slice_s: float) -> None:
        """Wait for *answer*; raise TimeoutError at the deadline, ClientStuck if brokers answer and the client hangs."""
        began = time.monotonic()
        give_up_at = began + max(slice_s, self.left_s) + OVERDUE_S
        answered_late = 0
        while not wait([answer], min(NUDGE_S, max(0.0, give_up_at - time.monotonic()))).done:
            now = time.monotonic()
            if now >= give_up_at:
                raise TimeoutError
            with contextlib.suppress(KafkaException):
                self._producer.list_topics(self.topic, timeout=NUDGE_S)
                self._answered += 1
                answered_late += now > began + slice_s + OVERDUE_S
            if answered_late >= HUNG:
                raise ClientStuck(doing)
        answer.result()
