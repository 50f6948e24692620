"""Watch the errors of the clients: log them, and decide when unreachable or refusing brokers end the worker."""

import contextlib
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException

from emotag_model.daemon_threads import Background
from emotag_worker.errors import ClientStuck, GroupRefused, SettingsError, StopWorker
from emotag_worker.kafka.broker_errors import GROUP_REFUSED, explain_denial, explain_fatal, stop_if_denied
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.topics import PROBE_S
from emotag_worker.observability.telemetry import Telemetry

ERRORS_S = 10.0
"""Pause between two log lines about the same error: unreachable brokers cause dozens a second."""

FAILURES_S = 60.0
"""Pause between two log lines about the same failed connection: the first one has the remedy."""

CLOSE_S = 1.0
"""Longest wait for the end of another client, which is made for one request."""


class BrokerWatch:
    """The errors of a consumer and a producer, and since when no broker has answered.

    Args:
        topic: the topic that is requested to find out whether brokers answer again.
        deadline_s: longest time without an answer of the brokers.
    """

    def __init__(self, topic: str, *, deadline_s: float, telemetry: Telemetry) -> None:
        self._topic = topic
        self._deadline_s = deadline_s
        self._telemetry = telemetry
        self._ended: StopWorker | None = None
        self._errors_logged: dict[str, float] = {}
        self._failures_logged: dict[str, float] = {}
        self._down_since: float | None = None
        self._others_since: float | None = None
        self._next_probe = 0.0

    def attach(self, consumer: Consumer, create_other: Callable[[], Consumer] | None = None) -> None:
        """Set the client that requests are sent with: the first one, or one that replaces a client that failed.

        Args:
            create_other: creates a client of no group, whose errors nobody hears.
        """
        self._consumer, self._create_other = consumer, create_other
        self._ended = self._others_since = None

    @property
    def reachable(self) -> bool:
        """Brokers answered the last request."""
        return self._down_since is None

    def note_answer(self) -> None:
        """A broker answered."""
        self._down_since = self._others_since = None

    def note_error(self, error: KafkaError) -> None:
        """Handle an error; the clients' error callback."""
        now = time.monotonic()
        self._log_error(error, now)
        self._ended = self._ended or explain_denial(error)
        if error.code() == KafkaError._FATAL:  # from now on every call fails with it, but no poll reports it
            self._ended = self._ended or explain_fatal("taking part in the group", error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._down_since is None:
            self._down_since = now

    def stop_if_ended(self) -> None:
        """Raise an error that only the clients' error callback received."""
        if self._ended is not None:
            raise self._ended

    def stop_if_lasting(self, error: KafkaError) -> None:
        """Raise the error that a poll returned if the client would only repeat it."""
        stop_if_denied(error)
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise get_connection(self._consumer).explain_missing([self._topic])
        if error.code() in GROUP_REFUSED:
            raise GroupRefused(error.str())
        if error.fatal():
            raise explain_fatal("reading", error)

    def stop_if_gone(self) -> None:
        """While brokers are gone, request something now and then, and give up at the deadline.

        Raises:
            BrokerUnavailable: no broker answered until the deadline.
            ClientStuck: brokers answer a new client. After brokers restarted, some clients never connect again.
        """
        self.stop_if_ended()
        now = time.monotonic()
        if self._down_since is None or now < self._next_probe:
            return
        try:
            self._consumer.list_topics(self._topic, timeout=PROBE_S)
        except KafkaException as error:
            connection = get_connection(self._consumer)
            if now - self._down_since > self._deadline_s:
                raise connection.explain_outage("reading", self._deadline_s, error.args[0]) from error
            if self._create_other is not None and self._measure_others(self._create_other) > connection.reconnect_s:
                raise ClientStuck("reading") from error
            self._next_probe = time.monotonic() + PROBE_S
        else:
            self._telemetry.report_broker_recovery(now - self._down_since)
            self._failures_logged.clear()
            self.note_answer()

    def _measure_others(self, create: Callable[[], Consumer]) -> float:
        """Return for how many seconds brokers have answered each new client; 0 if they do not answer now."""
        answering_since = None
        with contextlib.suppress(KafkaException, SettingsError):  # a file with certificates can be missing for a moment
            other = create()
            try:
                other.list_topics(self._topic, timeout=PROBE_S)
                answering_since = self._others_since or time.monotonic()
            finally:
                closing = Background("closing")
                closing.submit(other.close)
                closing.close(CLOSE_S)
        self._others_since = answering_since
        return 0.0 if answering_since is None else time.monotonic() - answering_since

    def _log_error(self, error: KafkaError, now: float) -> None:
        """Log the error unless the same was logged a moment ago. A failed connection is logged with its remedy."""
        failure = None if explain_denial(error) else get_connection(self._consumer).explain_failure(error)
        if failure is None:
            if (last := self._errors_logged.get(error.name())) is None or now - last > ERRORS_S:
                self._telemetry.report_broker_error(error.name(), error.str())
                self._errors_logged[error.name()] = now
            return
        reason, remedy = failure
        recent = [logged for logged, last in self._failures_logged.items() if now - last <= FAILURES_S]
        # "All brokers down" follows the failure of the last broker, and has no cause.
        if reason in recent or (recent and error.code() == KafkaError._ALL_BROKERS_DOWN):
            return
        consequence = (
            f"the worker keeps trying, and stops if no broker answers for {self._deadline_s:g} s "
            "(EMOTAG_KAFKA__BROKER_TIMEOUT_S)"
        )
        self._telemetry.report_broker_error(error.name(), reason, consequence=consequence, remedy=remedy)
        self._failures_logged[reason] = now
