"""Errors of the clients: logged with their remedy, and when they end the worker."""

from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from structlog.testing import capture_logs

from emotag_worker import errors
from emotag_worker.kafka.connection import Connection
from emotag_worker.kafka.input import broker_watch
from emotag_worker.kafka.input.broker_watch import BrokerWatch
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import KafkaSettings, Settings
from tests.unit.worker.kafka.scripted import Connected, ScriptedMessage, Turn, places, subscribed


def test_an_error_that_may_pass_is_logged_and_reading_goes_on() -> None:
    source, _ = subscribed(
        Turn(message=ScriptedMessage(failure=KafkaError(KafkaError._MAX_POLL_EXCEEDED))),
        Turn(message=ScriptedMessage((0, 1))),
    )
    with capture_logs() as lines:
        assert [(0, 1)] == places(source)
    (line,) = [line for line in lines if line["event"] == "broker_error_seen"]
    assert ("_MAX_POLL_EXCEEDED", "Maximum application poll interval (max.poll.interval.ms) exceeded") == (
        line["error"],
        line["reason"].removeprefix("Local: "),
    )


def test_the_same_error_is_logged_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that are gone give dozens a second, among which no other line would be seen."""
    source, _ = subscribed()
    seen: list[str] = []
    monkeypatch.setattr(source._telemetry, "report_broker_error", lambda error, reason: seen.append(error))
    for code in [KafkaError._TIMED_OUT, KafkaError._MAX_POLL_EXCEEDED, KafkaError._TIMED_OUT] * 20:
        source.note_error(KafkaError(code))
    assert ["_TIMED_OUT", "_MAX_POLL_EXCEEDED"] == seen


def test_brokers_that_cannot_be_reached_are_one_event_with_the_remedy() -> None:
    """With the time after which the worker stops. After a recovery, the next outage is an event again."""
    source, _ = subscribed()
    refused = KafkaError(
        KafkaError._TRANSPORT, "localhost:9092/bootstrap: Connect failed: Connection refused (after 0ms)"
    )
    with capture_logs() as lines:
        for _ in range(3):
            source.note_error(refused)
            source.note_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
        assert [] == places(source)
        source.note_error(refused)
    first, recovery, second = lines
    assert {
        "event": "broker_error_seen",
        "log_level": "warning",
        "error": "_TRANSPORT",
        "reason": "cannot reach Kafka at localhost:9092 (EMOTAG_KAFKA__BOOTSTRAP_SERVERS, default): connection refused",
        "consequence": "the worker keeps trying, and stops if no broker answers for 1 s "
        "(EMOTAG_KAFKA__BROKER_TIMEOUT_S)",
        "remedy": "Start a broker, set the variable, or try: emotag local",
    } == first
    assert "brokers_recovered" == recovery["event"]
    assert first == second


def test_a_refused_client_is_not_promised_another_try() -> None:
    source, _ = subscribed()
    with capture_logs() as lines:
        source.note_error(KafkaError(KafkaError._SSL, "SSL handshake failed: certificate verify failed"))
    assert "consequence" not in lines[0]


def test_a_refusal_that_only_the_error_callback_hears_stops_the_worker() -> None:
    """A wrong password shows nowhere else."""
    source, _ = subscribed()
    source.note_error(KafkaError(KafkaError._AUTHENTICATION))
    with pytest.raises(errors.StopWorker, match="refuse this client"):
        source.poll(10, 1_000_000, timeout_s=0)


@pytest.mark.parametrize(
    ("code", "said", "check"),
    [
        (
            KafkaError._AUTHENTICATION,
            "sasl_ssl://b:9092/1: SASL authentication error: invalid credentials (after 3ms in state AUTH_REQ)",
            "sasl.password in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._SSL,
            "ssl://b:9092/1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
            "certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA "
            "certificates are installed (brew install openssl) (after 9ms in state SSL_HANDSHAKE)",
            "ssl.ca.location in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._TRANSPORT,
            "ssl://b:9092/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert "
            "number 116 (after 0ms in state APIVERSION_QUERY)",
            "ssl.certificate.location and ssl.key.location in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._SSL,
            "ssl://b:9092/1: SSL handshake failed: error:0A000418:SSL routines::tlsv1 alert unknown ca: SSL alert "
            "number 48 (after 2ms in state SSL_HANDSHAKE)",
            "ssl.certificate.location",
        ),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "Broker: Group authorization failed", "the ACLs of its user"),
    ],
)
def test_whoever_is_not_let_in_is_told_what_to_check(code: int, said: str, check: str) -> None:
    """The error contains the client's text without its timings and its advice for other operating systems."""
    source, _ = subscribed()
    source.note_error(KafkaError(code, said))
    source.note_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    with pytest.raises(errors.Denied) as caught:
        source.poll(10, 1_000_000, timeout_s=0)
    assert check in str(caught.value)
    assert "brew" not in str(caught.value)
    assert "in state" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError._SSL, "ssl://b:9092/1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof"),
        (
            KafkaError._TRANSPORT,
            "ssl://b:9092/1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker?",
        ),
        (KafkaError._TRANSPORT, "ssl://b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused"),
    ],
)
def test_a_connection_that_breaks_off_is_no_refusal(code: int, said: str) -> None:
    """Brokers that restart do that: there is a deadline for it."""
    source, _ = subscribed(Turn(message=ScriptedMessage((0, 1))))
    source.note_error(KafkaError(code, said))
    assert [(0, 1)] == places(source)


@pytest.mark.parametrize(
    ("code", "expected"), [(KafkaError.FENCED_INSTANCE_ID, errors.Fenced), (KafkaError._FATAL, errors.StopWorker)]
)
def test_only_who_was_replaced_is_told_so(code: int, expected: type[errors.StopWorker]) -> None:
    failure = KafkaError(code, "for good", True)
    source, _ = subscribed(Turn(message=ScriptedMessage(failure=failure)))
    with pytest.raises(errors.StopWorker) as caught:
        source.poll(10, 1_000_000, timeout_s=0)
    assert expected is type(caught.value)


class Probed(Connected):
    """A client that brokers answer or not."""

    def __init__(self, *, answered: bool) -> None:
        self.answered, self.closed = answered, 0

    def list_topics(self, *_: object, **__: object) -> None:
        if not self.answered:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "timed out"))

    def close(self) -> None:
        self.closed += 1


RECONNECT_S = Probed.connection.reconnect_s


class Outage:
    """A watch whose brokers are gone: for its own client, and perhaps for another one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, other: bool) -> None:
        self._now, self.is_misconfigured = 1_000.0, False
        fake = type("Clock", (), {"monotonic": staticmethod(lambda: self._now)})
        monkeypatch.setattr(broker_watch, "time", fake)
        self.own, self.other, self.created = Probed(answered=False), Probed(answered=other), 0
        self.watch = BrokerWatch("texts", deadline_s=60.0, telemetry=Telemetry())
        self.watch.attach(cast("Consumer", self.own), self._create)
        self.begin()

    def _create(self) -> Consumer:
        if self.is_misconfigured:
            raise errors.SettingsError("ssl.ca.location: no such file")
        self.created += 1
        return cast("Consumer", self.other)

    def begin(self) -> None:
        self.watch.note_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))

    def go_on(self, seconds: float) -> None:
        """Poll every five seconds."""
        for _ in range(int(seconds / 5)):
            self._now += 5.0
            self.watch.stop_if_gone()


def test_a_client_that_does_not_connect_although_brokers_answer_others_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outage = Outage(monkeypatch, other=False)
    outage.go_on(15.0)
    outage.other.answered = True
    outage.go_on(RECONNECT_S)
    with pytest.raises(errors.ClientStuck, match="stuck reading although brokers answer"):
        outage.go_on(10.0)
    assert outage.created == outage.other.closed


def test_brokers_that_come_and_go_are_no_reason_to_call_a_client_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    outage = Outage(monkeypatch, other=True)
    outage.go_on(10.0)
    outage.other.answered = False
    outage.go_on(15.0)
    outage.other.answered = True
    outage.go_on(10.0)
    outage.other.answered = False
    with pytest.raises(errors.BrokerUnavailable, match="gave up reading after 60 s"):
        outage.go_on(60.0)


def test_another_client_that_cannot_be_created_ends_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates may be exchanged in the outage: the worker's own client may still connect."""
    outage = Outage(monkeypatch, other=True)
    outage.is_misconfigured = True
    outage.go_on(40.0)


def test_a_client_that_connects_a_little_later_than_others_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    outage = Outage(monkeypatch, other=True)
    outage.go_on(10.0)
    outage.own.answered = True
    outage.go_on(5.0)
    assert outage.watch.reachable
    outage.own.answered = False
    outage.begin()
    outage.go_on(10.0)


def test_brokers_that_answer_no_client_end_the_worker_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    outage = Outage(monkeypatch, other=False)
    outage.go_on(60.0)
    with pytest.raises(errors.BrokerUnavailable, match="gave up reading after 60 s"):
        outage.go_on(5.0)


def test_the_limit_is_longer_than_the_longest_pause_between_two_connections() -> None:
    longest = {"reconnect.backoff.max.ms": "40000"}
    assert RECONNECT_S > 15.0
    assert Connection(Settings(kafka=KafkaSettings(properties=longest))).reconnect_s > 60.0
