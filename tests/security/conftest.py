"""Servers that ask who is there, and the workers that can say."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.acceptance.conftest import StartWorker, start_worker
from tests.conftest import RUNNING, Topics, create_topics
from worker.local.server import running

from .certificates import Authority
from .secured import SecuredKafka, add_user, administrator, allow

__all__ = ["StartWorker", "start_worker"]

USER, PASSWORD = "emotag", "correct-horse-battery-staple"
"""Who may do what a worker does, by either way of proving it."""


@dataclass(frozen=True)
class Trust:
    """Whom the servers trust, and somebody else of whom they have never heard."""

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
    with running(server):
        pytestconfig.stash[RUNNING].append(server)
        add_user(administrator(server), USER, PASSWORD)
        yield server
        server.kill()  # nobody needs what it would still write


@pytest.fixture
def secured_admin(secured_kafka: SecuredKafka) -> AdminClient:
    """May do all."""
    return administrator(secured_kafka)


@pytest.fixture
def own_topics(secured_admin: AdminClient) -> Topics:
    """Topics of this test alone, which only the tests may touch yet."""
    return create_topics(secured_admin)


@pytest.fixture
def secured_topics(secured_admin: AdminClient, own_topics: Topics) -> Topics:
    """Topics of this test alone, which `USER` may use as a worker does."""
    allow(secured_admin, USER, own_topics)
    return own_topics
