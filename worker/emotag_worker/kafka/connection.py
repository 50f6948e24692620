"""The connection of a Kafka client: its address, and the cause of its last failure.

Calls of the client report only "Broker transport failure" or a timeout. The cause (a name that does not resolve, a
refused connection, a failed TLS handshake) reaches only the client's error callback, so every client of `clients.py`
has a `Connection` that notes it.
"""

import difflib
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError

from emotag_worker.errors import BrokerUnavailable, TopicMissing
from emotag_worker.settings import Settings

ANSWER_S = 10.0
"""Longest wait for an answer of the brokers while a person waits at a terminal."""

REPEATED_S = 30.0
"""The client reports the same error of a broker again only after this time, although it still occurs."""

SERVERS = "EMOTAG_KAFKA__BOOTSTRAP_SERVERS"
PROTOCOL = "security.protocol in EMOTAG_KAFKA__PROPERTIES"

CAUSES = (
    (
        re.compile("Failed to resolve"),
        "DNS does not resolve the host name",
        f"Correct the host name in {SERVERS}, or your DNS",
    ),
    (
        re.compile("Connection refused"),
        "connection refused",
        "Start a broker, set the variable, or try: emotag local",
    ),
    (
        re.compile("timed out in state CONNECT|No route to host|Network is unreachable|Connection timed out"),
        "the network does not reach this address",
        f"Check the address in {SERVERS}, and firewalls on the way",
    ),
    (
        re.compile(
            "SSL routines::(wrong version number|packet length too long|record layer failure)|PLAINTEXT broker|"
            "closed by peer.*SSL_HANDSHAKE"
        ),
        "the TLS handshake failed, and the listener may not use TLS",
        f"Set {PROTOCOL} to the listener's protocol, for example PLAINTEXT or SASL_PLAINTEXT",
    ),
    (
        re.compile("Invalid response size|connecting to a SSL listener|closed by peer.*APIVERSION_QUERY"),
        "the listener does not speak Kafka's protocol without TLS: it may require TLS, or is not a Kafka broker",
        f"Set {PROTOCOL}, for example to SSL or SASL_SSL, or correct {SERVERS}",
    ),
    (
        re.compile("Disconnected|Connection reset|closed"),
        "the broker closed the connection",
        f"Check {PROTOCOL}, and the broker's log",
    ),
)
"""Forms of librdkafka's texts, with the cause and the remedy. The first match counts."""

SILENT = ("no answer", f"Check that brokers are running there, {SERVERS}, and {PROTOCOL}")
HANDSHAKE = re.compile("in state (APIVERSION_QUERY|SSL_HANDSHAKE|AUTH_\\w+)")
ADVERTISED = re.compile(r"(?:\w+://)?([^/\s]+)/(\d+): ")
"""A text that is about a broker whose address the cluster advertised: `kafka-1:9092/1: …`."""
BROKER = re.compile(r"(?:\w+://)?([^/\s]+)/(?:bootstrap|\d+): ")
CONNECTION_ERRORS = frozenset(
    {KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._SSL, KafkaError._ALL_BROKERS_DOWN}
)


class Connection:
    """The address of a client's brokers, and the cause of its last failure.

    Attributes:
        servers: the bootstrap servers, as the setting has them.
        address: the servers, their setting, and whether they are the default.
        answer_s: longest wait for the brokers in a command: `kafka.broker_timeout_s`, but at most `ANSWER_S`.
        reconnect_s: time in which a client connects again, if brokers answer: longer than its longest pause between
            two tries, which is random, up to one and a half times the property.
    """

    def __init__(self, settings: Settings) -> None:
        default = "" if "bootstrap_servers" in settings.kafka.model_fields_set else ", default"
        self.servers = settings.kafka.bootstrap_servers
        self._topics = {
            settings.input.topic: "EMOTAG_INPUT__TOPIC",
            settings.output.topic: "EMOTAG_OUTPUT__TOPIC",
            settings.dlq.topic: "EMOTAG_DLQ__TOPIC",
        }
        self.address = f"{self.servers} ({SERVERS}{default})"
        self.answer_s = min(ANSWER_S, settings.kafka.broker_timeout_s)
        self.reconnect_s = 1.5 * float(settings.kafka.properties.get("reconnect.backoff.max.ms", 10_000)) / 1000 + 2.0
        self._cause = ""
        self._noted_at = 0.0

    def note(self, error: KafkaError) -> None:
        """Remember the cause of a failed connection; for the client's error callback."""
        answered = error.code() > 0  # brokers have the positive codes, the client the others
        if not answered and error.code() != KafkaError._ALL_BROKERS_DOWN:  # a count of brokers, no cause
            self._remember(error.str())

    def note_log(self, text: str) -> None:
        """Remember the cause in a log line: the client only logs that a listener with TLS closes a plain connection."""
        if HANDSHAKE.search(text):
            self._remember(text.partition("]: ")[2] or text)

    def explain_failure(self, error: KafkaError) -> tuple[str, str] | None:
        """Return the reason and the remedy of a connection that failed; None for an error of another kind."""
        if error.code() not in CONNECTION_ERRORS:
            return None
        text = self._cause if error.code() == KafkaError._ALL_BROKERS_DOWN else error.str()
        cause, remedy = explain_cause(text, self.servers)
        if "," not in self.servers:
            return f"cannot reach Kafka at {self.address}: {cause}", remedy
        broker = BROKER.match(text)
        place = f" at {broker[1]}" if broker and broker[1] not in cause else ""
        return f"cannot reach a broker of Kafka at {self.address}: {cause}{place}", remedy

    def explain_outage(self, doing: str, within_s: float, error: KafkaError | None = None) -> BrokerUnavailable:
        """Return the error for brokers that did not answer.

        Args:
            doing: the action of the client, for example "reading".
            within_s: the time that it waited.
            error: of the last call. Used only if the error callback received no cause of this outage.
        """
        answered = error is not None and error.code() > 0
        text = error.str() if error is not None else ""
        if answered:
            cause, remedy = text, "Try again, and look into the brokers' log if this stays"
        else:
            is_recent = time.monotonic() - self._noted_at <= within_s + REPEATED_S
            cause, remedy = explain_cause((is_recent and self._cause) or text, self.servers)
        cause += f" (gave up {doing} after {within_s:g} s)"
        return BrokerUnavailable(self.address, cause, remedy, answered=answered)

    def explain_missing(self, topics: Sequence[str], existing: Iterable[str] = ()) -> TopicMissing:
        """Return the error for topics that do not exist.

        Args:
            existing: the topics that do; the nearest names are suggested.
        """
        there = [name for name in existing if not name.startswith("__")]
        near = {topic: match for topic in topics for match in difflib.get_close_matches(topic, there, n=1, cutoff=0.75)}
        missing = {topic: self._topics.get(topic, "") for topic in topics}
        if not near:
            return TopicMissing(missing, self.servers)
        suggested = " or ".join(dict.fromkeys(near.values()))
        if near.keys() == missing.keys():  # creating a topic for a mistyped name would hide the mistake
            return TopicMissing(missing, self.servers, f"did you mean {suggested}?")
        remedy = (
            f"did you mean {suggested} instead of {' and '.join(near)}? Create the others with: emotag topics create"
        )
        return TopicMissing(missing, self.servers, remedy)

    def _remember(self, cause: str) -> None:
        self._cause = cause
        self._noted_at = time.monotonic()


def get_connection(client: Any) -> Connection:
    """Return the connection of a client that `clients.py` created."""
    found: Connection = client.connection
    return found


def explain_cause(text: str, servers: str) -> tuple[str, str]:
    """Return the cause in a text of librdkafka, and the remedy.

    Args:
        servers: the bootstrap servers. If the text is about another address, the cause names that address.
    """
    cause, remedy = next(
        ((cause, remedy) for form, cause, remedy in CAUSES if form.search(text)), (_strip(text), SILENT[1])
    )
    advertised = ADVERTISED.match(text)
    if advertised and advertised[1].lower() not in _list_addresses(servers):
        cause += f" at {advertised[1]}, the address that broker {advertised[2]} advertises"
        remedy = f"Check the broker's advertised.listeners. {remedy}"
    return cause or SILENT[0], remedy


def _list_addresses(servers: str) -> set[str]:
    """Return the bootstrap servers as librdkafka's texts name them: without a protocol, always with a port."""
    named = [each.strip().rpartition("://")[2].lower() for each in servers.split(",")]
    return {name if re.search(r":\d+$", name) else f"{name}:9092" for name in named}


def _strip(text: str) -> str:
    """Return the text without its address and its timings; empty if it contains no cause."""
    if re.search("Broker transport failure|Local: Timed out|Required feature not supported", text):
        return ""
    return re.sub(r" \(after \d+ms in state .*|^\S+/(bootstrap|\d+): ", "", text)
