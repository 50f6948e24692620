"""Calls into the Kafka client, which may hang, and until when they are waited for."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from model.background import Background

from .broker_errors import fatal, stop_if_denied
from .errors import BrokerUnavailable, ClientStuck, StopWorker

SLICE_S = 5.0
"""Longest single wait inside librdkafka: what it is at shows at the latest after this."""

NUDGE_S = 1.0
"""How long a call is waited for before the client is nudged, and how long that may take. Milliseconds where all is
well."""

HUNG = 5
"""How often brokers have answered a nudge, long after a call's own time-out, where it will not come back any more."""

FUTILE = 20
"""How often brokers have answered a nudge while nothing succeeded, where nothing will, though calls do come back."""

OVERDUE_S = 1.0
"""How far past its own time-out, and past the deadline, a call is waited for before it counts as hung."""


class Deadline:
    """Calls into the client until one succeeds, and no longer than the brokers may be gone.

    In a thread, because not every call keeps its time-out, or has one: `send_offsets_to_transaction` waits for ever for
    a group coordinator whose connection broke (librdkafka issue 5456, open as of 2.16), a commit for a broker that is
    paused. Nothing brings such a client back: the worker ends, and the next one goes on.

    Args:
        producer: asked now and then for anything at all, while a call lasts: it wakes one that waits for a coordinator
            only when the state of some connection changes, and connects only where there is something to ask.

    Attributes:
        topic: what the producer is asked for.
    """

    def __init__(self, producer: Producer, deadline_s: float) -> None:
        self._producer = producer
        self._deadline_s = deadline_s
        self._thread = Background("sink")
        self.topic = ""
        self._answered = 0
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._at = time.monotonic() + self._deadline_s

    @property
    def left_s(self) -> float:
        """Until the deadline; never below 0."""
        return max(0.0, self._at - time.monotonic())

    @property
    def futile(self) -> bool:
        """Whether brokers have answered for long, and no call has succeeded meanwhile."""
        return self._answered >= FUTILE

    def persist(self, doing: str, call: Callable[[float], Any], *, again: Callable[[KafkaError], bool]) -> None:
        """Call until it succeeds.

        Args:
            call: given the seconds it may take.
            again: whether to try again after an error; or raises what it means.

        Raises:
            BrokerUnavailable: it did not succeed in time.
            StopWorker: it never will; `ClientStuck` where brokers answer and only the client does not.
        """
        while True:
            slice_s = min(SLICE_S, max(0.1, self.left_s))
            try:
                self._await(doing, self._thread.submit(call, slice_s), slice_s)
            except TimeoutError as hung:
                raise BrokerUnavailable(doing, self._deadline_s, "the client does not return") from hung
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                stop_if_denied(error)
                if error.fatal():
                    raise fatal(doing, error) from raised
                if not again(error):
                    raise StopWorker(f"{doing} failed: {error.str()}") from raised
                if not self.left_s:
                    raise BrokerUnavailable(doing, self._deadline_s, error.str()) from raised
                time.sleep(min(0.1, self.left_s))  # where it failed at once
            else:
                self._answered = 0
                return

    def _await(self, doing: str, answer: Future[Any], slice_s: float) -> None:
        """Raises TimeoutError where it does not come by the deadline, ClientStuck where only the client is amiss."""
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
