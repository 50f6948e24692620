"""Servers that require authentication, and workers that have credentials."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.local.server import run_server
from tests.acceptance.conftest import StartWorker, create_worker, start_worker
from tests.conftest import RUNNING, Topics, create_topics

from .certificates import Authority
from .secured import SecuredKafka, add_user, administrator, allow

__all__ = ["StartWorker", "create_worker", "start_worker"]

USER, PASSWORD = "emotag", "correct-horse-battery-staple"
"""The users that may do what a worker does, by SCRAM and by certificate."""


@dataclass(frozen=True)
class Trust:
    """The authority that the servers trust, and one that they do not know."""

    folder: Path
    authority: Authority
    stranger: Authority


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("certificates")
    return Trust(folder, Authority(folder, "authority"), Authority(folder, "stranger"))


@pytest.fixture(scope="session")
def secured_kafka(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, trust: Trust
) -> Iterator[SecuredKafka]:
    """A broker that no test harms."""
    server = SecuredKafka(tmp_path_factory.mktemp("secured-kafka"), trust.authority)
    with run_server(server):
        pytestconfig.stash[RUNNING].append(server)
        add_user(administrator(server), USER, PASSWORD)
        yield server
        server.kill()  # an orderly shutdown would only save data that nobody reads


@pytest.fixture
def secured_admin(secured_kafka: SecuredKafka) -> AdminClient:
    """A client of a user that may do everything."""
    return administrator(secured_kafka)


@pytest.fixture
def own_topics(secured_admin: AdminClient) -> Topics:
    """Topics of this test alone, which only the tests can access so far."""
    return create_topics(secured_admin)


@pytest.fixture
def secured_topics(secured_admin: AdminClient, own_topics: Topics) -> Topics:
    """Topics of this test alone, which `USER` can access like a worker."""
    allow(secured_admin, USER, own_topics)
    return own_topics
