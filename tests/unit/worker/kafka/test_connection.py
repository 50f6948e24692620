"""The cause of a failed connection, from the texts of librdkafka."""

import time

import pytest
from confluent_kafka import KafkaError

from emotag_worker.kafka.connection import REPEATED_S, Connection, explain_cause, get_connection
from emotag_worker.settings import Settings, loader

from .scripted import Connected

AT = "broker:9092/bootstrap: "


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        (AT + "Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state X)", "refused", "local"),
        (AT + "Failed to resolve 'broker:9092': Name or service not known (after 0ms in state X)", "DNS", "host name"),
        (AT + "Connection setup timed out in state CONNECT (after 30029ms in state CONNECT)", "network", "firewalls"),
        ("ssl://" + AT + "SSL handshake failed: error:0A:SSL routines::wrong version number", "TLS", "PLAINTEXT"),
        ("ssl://" + AT + "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker?", "TLS", "PLAINTEXT"),
        ("ssl://" + AT + "Disconnected: SSL connection closed by peer (in state SSL_HANDSHAKE)", "TLS", "PLAINTEXT"),
        (AT + "Receive failed: Invalid response size 352518912 (0..100000000): increase", "require TLS", "SASL_SSL"),
        (AT + "Disconnected: verify that security.protocol is correctly configured", "closed", "security.protocol"),
        (AT + "A new text (after 3ms in state UP)", "A new text", "security.protocol"),
        ("Failed to get metadata: Local: Broker transport failure", "no answer", "brokers are running"),
        ("", "no answer", "brokers are running"),
    ],
)  # fmt: skip
def test_a_text_becomes_a_cause_and_a_remedy(text: str, cause: str, remedy: str) -> None:
    found = explain_cause(text, "broker:9092")
    assert cause in found[0]
    assert remedy in found[1]
    assert "in state" not in found[0] + found[1]


def test_an_address_that_only_the_cluster_named_is_part_of_the_cause() -> None:
    text = (
        "kafka-1.internal:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"
    )
    cause, remedy = explain_cause(text, "broker:9092")
    assert "connection refused at kafka-1.internal:9092, the address that broker 1 advertises" == cause
    assert "advertised.listeners" in remedy


@pytest.mark.parametrize("servers", ["Kafka", "other:1, KAFKA:9092", "SASL_SSL://kafka:9092"])
def test_a_bootstrap_server_is_not_called_advertised(servers: str) -> None:
    """The default port is 9092, and host names have no case."""
    text = "sasl_ssl://kafka:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state X)"
    assert "connection refused" == explain_cause(text, servers)[0]


def test_an_address_that_only_ends_like_a_bootstrap_server_is_advertised() -> None:
    assert "advertises" in explain_cause("kafka:9092/1: Connection refused", "my-kafka:9092")[0]


def test_the_last_cause_counts_and_a_count_of_brokers_is_none() -> None:
    connection = Connection(Settings())
    connection.note(KafkaError(KafkaError._TRANSPORT, "localhost:9092/bootstrap: Connection refused"))
    connection.note(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    error = connection.explain_outage("looking for texts", 10, KafkaError(KafkaError._TRANSPORT, "transport failure"))
    assert str(error) == (
        "cannot reach Kafka at localhost:9092 (EMOTAG_KAFKA__BOOTSTRAP_SERVERS, default): connection refused (gave up "
        "looking for texts after 10 s). Start a broker, set the variable, or try: emotag local"
    )


def test_a_cause_of_an_earlier_outage_is_not_that_of_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    connection = Connection(Settings())
    connection.note(KafkaError(KafkaError._TRANSPORT, "localhost:9092/bootstrap: Connection refused"))
    now += 5 + REPEATED_S
    assert "connection refused" in str(connection.explain_outage("reading", 5))
    now += 1
    assert "no answer" in str(connection.explain_outage("reading", 5))


def test_an_error_that_a_broker_answers_is_no_cause_of_an_outage() -> None:
    connection = Connection(Settings())
    connection.note(KafkaError(KafkaError._TRANSPORT, "localhost:9092/bootstrap: Connection refused"))
    connection.note(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "Group authorization failed"))
    assert "connection refused" in str(connection.explain_outage("reading", 5))


def test_a_log_line_about_a_handshake_is_a_cause_and_about_an_idle_connection_is_none() -> None:
    connection = Connection(Settings())
    closed = "[thrd:b]: localhost:9092/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN"
    connection.note_log(f"{closed} (after 600000ms in state UP)")
    assert "no answer" in str(connection.explain_outage("reading", 1))
    connection.note_log(f"{closed} (after 1ms in state APIVERSION_QUERY)")
    assert "may require TLS" in str(connection.explain_outage("reading", 1))


def test_a_setting_is_not_called_a_default() -> None:
    chosen = loader.load(flags={"kafka": {"bootstrap_servers": "localhost:9092", "broker_timeout_s": 2}})
    connection = Connection(chosen)
    assert "localhost:9092 (EMOTAG_KAFKA__BOOTSTRAP_SERVERS)" == connection.address
    assert 2 == connection.answer_s
    assert 10 == Connection(Settings()).answer_s


def test_brokers_that_answer_with_an_error_are_reachable() -> None:
    error = Connection(Settings()).explain_outage("reading", 1, KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    assert str(error).startswith(
        "Kafka at localhost:9092 (EMOTAG_KAFKA__BOOTSTRAP_SERVERS, default) is not ready: Broker: Leader"
    )


def test_similar_names_are_suggested_for_a_missing_topic() -> None:
    connection = Connection(Settings())
    near = connection.explain_missing(["emotoins"], ["emotions", "texts", "__consumer_offsets"])
    assert "no such topic: emotoins, on Kafka at localhost:9092; did you mean emotions?" == str(near)
    far = str(connection.explain_missing(["emotions"], ["texts"]))
    assert "emotions (EMOTAG_OUTPUT__TOPIC)" in far
    assert "emotag topics create" in far
    twice = connection.explain_missing(["emotoins", "emtions"], ["emotions"])
    assert str(twice).endswith("; did you mean emotions?")
    both = str(connection.explain_missing(["emotoins", "sentences"], ["emotions"]))
    assert both.endswith("; did you mean emotions instead of emotoins? Create the others with: emotag topics create")


def test_a_client_carries_its_connection() -> None:
    assert Connected.connection is get_connection(Connected())


def test_one_of_several_brokers_that_cannot_be_reached_is_named() -> None:
    connection = Connection(loader.load(flags={"kafka": {"bootstrap_servers": "a:1,b:2"}}))
    error = KafkaError(KafkaError._TRANSPORT, "b:2/bootstrap: Connect failed: Connection refused (after 0ms)")
    known = connection.explain_failure(error)
    assert known is not None
    assert (
        "cannot reach a broker of Kafka at a:1,b:2 (EMOTAG_KAFKA__BOOTSTRAP_SERVERS): connection refused at b:2"
        == known[0]
    )
    assert connection.explain_failure(KafkaError(KafkaError._TIMED_OUT)) is None
