"""Clients from settings. Creating one connects to nothing."""

import os
import socket
from typing import Any

import pytest
from confluent_kafka import KafkaError

from emotag_worker.errors import Denied, SettingsError
from emotag_worker.kafka import clients
from emotag_worker.settings import loader


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"no.such.property": "1"}, "No such configuration property"),
        ({"ssl.ca.location": "/nowhere", "security.protocol": "ssl"}, "is the file there"),
    ],
)
def test_a_property_that_the_client_rejects_is_a_mistake_in_the_settings(given: dict[str, str], why: str) -> None:
    chosen = loader.load(flags={"kafka": {"properties": given}})
    for create in (clients.create_admin, clients.create_reader):
        with pytest.raises(SettingsError, match=why) as caught:
            create(chosen)
        assert "EMOTAG_KAFKA__PROPERTIES" in str(caught.value)


def test_a_reader_ignores_that_it_may_not_use_a_group() -> None:
    """The client looks up the coordinator of every group, but a reader never joins."""
    clients._stop_if_reader_denied(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(Denied):
        clients._stop_if_reader_denied(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))


@pytest.mark.parametrize(
    ("kafka", "name"),
    [
        ({}, "emotag-{host}-{pid}"),
        ({"identity": "worker-3"}, "emotag-worker-3"),
        ({"properties": {"group.instance.id": "one"}}, "emotag-one"),
        ({"identity": "worker-3", "properties": {"client.id": "mine"}}, "mine"),
    ],
)
def test_a_client_is_named_for_the_worker_unless_the_operator_names_it(
    kafka: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in the brokers' logs, metrics and quotas differs for each process."""
    name = name.format(host=socket.gethostname(), pid=os.getpid())
    named: list[str] = []

    class Named:
        def __init__(self, given: dict[str, Any], *, logger: object) -> None:
            named.append(given["client.id"])

    for kind in ("_Admin", "_Consumer", "_Producer"):
        monkeypatch.setattr(clients, kind, Named)
    settings = loader.load(flags={"kafka": {"group_id": "g", **kafka}})
    clients.create_admin(settings)
    clients.create_reader(settings)
    clients.create_plain_producer(settings, lambda error, message: None)
    assert [name] * 3 == named
