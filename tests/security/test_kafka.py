"""Kafka with authentication: the real process, accepted and rejected."""

import json
import os
import subprocess
import sys
import time

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from emotag_worker.errors import NotJson
from emotag_worker.local import LocalWorker
from tests.acceptance.test_commands import emotag
from tests.acceptance.test_dead_letters import letters
from tests.conftest import Topics
from tests.stream import Reader, Sent, send, text

from .conftest import PASSWORD, USER, StartWorker, Trust
from .secured import EXPIRED, MUTUAL, SCRAM, SecuredKafka, acls, allow, operator_acls

Properties = dict[str, str]

SECONDS = 15
"""The longest time from the start of a rejected worker to its end, on a busy machine. The deadline for unreachable
brokers is a minute."""


def scram(trust: Trust, **other: str) -> Properties:
    """As docs/security.md has it."""
    return {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(trust.authority.pem),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": PASSWORD,
        **{name.replace("_", "."): value for name, value in other.items()},
    }


def mutual(trust: Trust, how: str = "good") -> Properties:
    """As in docs/security.md, with a certificate that is good, encrypted, expired, or from an unknown authority."""
    authority = trust.stranger if how == "strange" else trust.authority
    password = PASSWORD if how == "encrypted" else None
    mine = authority.sign(how, "worker", common_name=USER, expired=how == "expired", password=password)
    return {
        "security.protocol": "SSL",
        "ssl.ca.location": str(trust.authority.pem),
        "ssl.certificate.location": str(mine.chain),
        "ssl.key.location": str(mine.key),
        **({"ssl.key.password": password} if password else {}),
    }


def environment(kafka: SecuredKafka, listener: str, topics: Topics, properties: Properties) -> dict[str, str]:
    return {**topics.environment(kafka.at(listener)), "EMOTAG_KAFKA__PROPERTIES": json.dumps(properties)}


def tagged(kafka: SecuredKafka, topics: Topics) -> None:
    """Send good and bad records, and check that each gets one result."""
    records = [*(text(f"so happy {number}") for number in range(50)), Sent(b"not JSON")]
    placed = send(kafka.bootstrap_servers, topics.input, records)
    reader = Reader(kafka.bootstrap_servers, topics)
    read = reader.until(len(records), timeout_s=60)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
    assert 1 == len(read.dead)


def last_words(environment: dict[str, str], *, code: int = 1) -> str:
    """Return the last line of a worker that cannot work. It has no traceback and no secret."""
    with LocalWorker(environment) as worker:
        began = time.monotonic()
        worker.launch()
        assert code == worker.wait(60)
        assert time.monotonic() - began < SECONDS
        log = worker.log_path.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert PASSWORD not in log
    last = json.loads(log.splitlines()[-1])
    assert ("worker_stopped", code) == (last["event"], last["exit_code"])
    return str(last["reason"])


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_records_are_tagged_over_scram_on_tls(
    secured_kafka: SecuredKafka, secured_topics: Topics, trust: Trust, start_worker: StartWorker, delivery: str
) -> None:
    """The user has only the permissions that the documentation lists."""
    wanted = environment(secured_kafka, SCRAM, secured_topics, scram(trust))
    start_worker({**wanted, "EMOTAG_DELIVERY": delivery})
    tagged(secured_kafka, secured_topics)


@pytest.mark.parametrize("key", ["good", "encrypted"])
def test_records_are_tagged_over_mutual_tls(
    secured_kafka: SecuredKafka, secured_topics: Topics, trust: Trust, start_worker: StartWorker, key: str
) -> None:
    start_worker(environment(secured_kafka, MUTUAL, secured_topics, mutual(trust, key)))
    tagged(secured_kafka, secured_topics)


def test_a_wrong_password_ends_the_worker_with_what_to_check(
    secured_kafka: SecuredKafka, secured_topics: Topics, trust: Trust
) -> None:
    wrong = scram(trust, sasl_password=PASSWORD.upper())
    why = last_words(environment(secured_kafka, SCRAM, secured_topics, wrong))
    assert "invalid credentials" in why
    assert "check sasl.mechanism, sasl.username and sasl.password in EMOTAG_KAFKA__PROPERTIES" in why
    assert PASSWORD.upper() not in why


@pytest.mark.parametrize("what", ["strange", "expired", "another host's"])
def test_a_broker_that_cannot_be_trusted_ends_the_worker_with_what_to_check(
    secured_kafka: SecuredKafka, secured_topics: Topics, trust: Trust, what: str
) -> None:
    """Its certificate is signed by an unknown authority, has expired, or is for another host."""
    pem = trust.stranger.pem if what == "strange" else trust.authority.pem
    at = secured_kafka.at(EXPIRED if what == "expired" else SCRAM)
    if what == "another host's":
        at = at.replace("127.0.0.1", "localhost")
    properties = scram(trust, ssl_ca_location=str(pem))
    why = last_words(secured_topics.environment(at) | {"EMOTAG_KAFKA__PROPERTIES": json.dumps(properties)})
    assert f"certificate of a broker is not trusted (sasl_ssl://{at}" in why
    assert "ssl.ca.location in EMOTAG_KAFKA__PROPERTIES" in why
    assert "whether the certificate has expired, and whether it is for the host" in why


@pytest.mark.parametrize("command", ["topics create", "produce -", "tail", "dlq list", "dlq replay --yes", "lag"])
def test_an_operators_commands_say_the_same(
    secured_kafka: SecuredKafka, own_topics: Topics, trust: Trust, command: str
) -> None:
    """With a wrong password they also print one line and end within seconds."""
    wrong = environment(secured_kafka, SCRAM, own_topics, scram(trust, sasl_password=PASSWORD.upper()))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "emotag_worker", *command.split()],
        env=os.environ | wrong,
        input="so happy\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert time.monotonic() - began < SECONDS
    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert "check sasl.mechanism, sasl.username and sasl.password in EMOTAG_KAFKA__PROPERTIES" in line


@pytest.mark.parametrize("but", ["", "dead letters", "input", "group"])
def test_dead_letters_are_put_back_with_what_the_documentation_asks_for_and_no_less(
    secured_kafka: SecuredKafka, secured_admin: AdminClient, secured_topics: Topics, trust: Trust, but: str
) -> None:
    """Without any one of them, a line names the refused operation."""
    needs = dict(zip(("dead letters", "input", "group"), operator_acls(USER, secured_topics), strict=True))
    allowed = [binding for need, binding in needs.items() if need != but]
    for future in secured_admin.create_acls(allowed).values():
        future.result()
    send(secured_kafka.bootstrap_servers, secured_topics.dlq, letters(secured_topics, [NotJson("why")] * 3))
    wanted = environment(secured_kafka, SCRAM, secured_topics, scram(trust))
    listed, put = emotag("dlq", "list", **wanted), emotag("dlq", "replay", "--yes", **wanted)
    assert (1 if but in ("dead letters", "group") else 0) == listed.returncode, listed.stderr
    assert but != "group" or f"{secured_topics.group}-dlq-replay" in listed.stderr
    assert 0 == emotag("lag", **wanted).returncode
    if but:
        (line,) = put.stderr.splitlines()
        assert 1 == put.returncode
        assert ("group" if but == "group" else "topic") + " authorization failed" in line.lower()
        assert "check the ACLs of its user" in line or "check the topic's settings and permissions" in line
    else:
        assert (0, 1 + 3) == (put.returncode, len(listed.stdout.splitlines())), put.stderr
        assert f"3 put back on {secured_topics.input}" in put.stdout


@pytest.mark.parametrize("how", ["expired", "strange", "none"])
def test_a_client_that_is_not_trusted_ends_with_what_to_check(
    secured_kafka: SecuredKafka, secured_topics: Topics, trust: Trust, how: str
) -> None:
    properties = mutual(trust, how)
    if how == "none":
        del properties["ssl.certificate.location"], properties["ssl.key.location"]
    why = last_words(environment(secured_kafka, MUTUAL, secured_topics, properties))
    assert "refuse the certificate of this client" in why
    assert "check ssl.certificate.location and ssl.key.location in EMOTAG_KAFKA__PROPERTIES" in why


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"ssl.key.password": "another"}, "ssl.key.location"),
        ({"ssl.ca.location": "/nowhere/ca.pem"}, "ssl.ca.location"),
        ({"ssl.certificate.location": "/nowhere/worker.crt"}, "ssl.certificate.location"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_mistake_in_the_settings(
    secured_kafka: SecuredKafka, own_topics: Topics, trust: Trust, change: Properties, name: str
) -> None:
    """It is found before anything is sent to a broker."""
    properties = mutual(trust, "encrypted") | change
    why = last_words(environment(secured_kafka, MUTUAL, own_topics, properties), code=2)
    assert "EMOTAG_KAFKA__PROPERTIES" in why
    assert name in why


@pytest.mark.parametrize("need", acls(USER, Topics("", "", "", "", 1)))
def test_each_acl_that_the_documentation_asks_for_is_needed(
    secured_kafka: SecuredKafka, secured_admin: AdminClient, own_topics: Topics, trust: Trust, need: str
) -> None:
    """Without any one of them, the worker ends and names the refused operation."""
    allow(secured_admin, USER, own_topics, but=need)
    send(secured_kafka.bootstrap_servers, own_topics.input, [text("so happy"), Sent(b"not JSON")])
    why = last_words(environment(secured_kafka, SCRAM, own_topics, scram(trust)))
    refused = {
        "input": f"Topic authorization failed of {own_topics.input}",
        "output": f"Topic authorization failed of {own_topics.output}",
        "dead letters": f"Topic authorization failed of {own_topics.dlq}",
        "group": "Group authorization failed",
        "transactions": "Transactional Id authorization failed",
    }
    assert refused[need].lower() in why.lower()
    assert "check the ACLs of its user" in why


@pytest.mark.parametrize(
    ("command", "end", "operation"),
    [("produce -", "input", AclOperation.WRITE), ("tail --from-beginning --idle-s 3", "output", AclOperation.READ)],
)
def test_produce_and_tail_need_one_permission_each(
    secured_kafka: SecuredKafka,
    secured_admin: AdminClient,
    own_topics: Topics,
    trust: Trust,
    command: str,
    end: str,
    operation: AclOperation,
) -> None:
    wanted = environment(secured_kafka, SCRAM, own_topics, scram(trust))
    topic = getattr(own_topics, end)
    assert 0 != emotag(*command.split(), stdin="so happy\n", **wanted).returncode
    allowed = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{USER}",
        "*",
        operation,
        AclPermissionType.ALLOW,
    )
    for future in secured_admin.create_acls([allowed]).values():
        future.result()
    send(secured_kafka.bootstrap_servers, topic, [Sent(b"{}")])
    done = emotag(*command.split(), stdin="so happy\n", **wanted)
    assert 0 == done.returncode, done.stderr
    assert ("not a result of emotag" in done.stdout) == (end == "output")
