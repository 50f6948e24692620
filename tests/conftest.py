"""Real servers for the tests, and one set of topics for each of them.

`KAFKA_BOOTSTRAP_SERVERS` and `REDIS_URL`, where set, name servers to use; else the ones behind `emotag local` are
started, once. A server that does not start is an error, never a skip.
"""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from worker import local
from worker.local.server import LocalServer

# A shared machine may take its time: what a property costs says nothing about whether it holds.
hypothesis.settings.register_profile("emotag", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("emotag")

QUIET = logging.getLogger("librdkafka.tests")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data" / "goemotions"
RUNNING = pytest.StashKey[list[LocalServer]]()


@dataclass(frozen=True)
class Topics:
    """One test's own topics, and its group."""

    input: str
    output: str
    dlq: str
    group: str
    partitions: int

    def environment(self, bootstrap_servers: str) -> dict[str, str]:
        """What a worker needs to use them."""
        return {
            "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "EMOTAG_KAFKA__GROUP_ID": self.group,
            "EMOTAG_INPUT__TOPIC": self.input,
            "EMOTAG_OUTPUT__TOPIC": self.output,
            "EMOTAG_DLQ__TOPIC": self.dlq,
        }


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUNNING] = []
    for name in [name for name in os.environ if name.startswith("EMOTAG_")]:
        del os.environ[name]  # the caller's own settings would make other tests of these


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test shows the end of the log of every server it could have used."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed:
        for server in item.config.stash[RUNNING]:
            if server.log_path.is_file():
                report.sections.append((f"{server.name} log, {server.log_path}", server.log_tail(40)))
    return report  # type: ignore[return-value]


@pytest.fixture
def shown_on_failure(pytestconfig: pytest.Config) -> Iterator[Callable[[LocalServer], None]]:
    """Servers given to it have the end of their logs in the report of a failure."""
    running = pytestconfig.stash[RUNNING]
    before = list(running)
    yield running.append
    running[:] = before


@pytest.fixture(scope="session")
def bootstrap_servers(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for all tests that do not harm it; its log outlives the session, as all of pytest's folders."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with local.kafka(tmp_path_factory.mktemp("kafka")) as server:
        pytestconfig.stash[RUNNING].append(server)
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cache for all tests that do not harm it."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    with local.valkey(tmp_path_factory.mktemp("valkey")) as server:
        pytestconfig.stash[RUNNING].append(server)
        yield server.url


@pytest.fixture
def own_valkey(
    shown_on_failure: Callable[[LocalServer], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[local.LocalValkey]:
    """A cache that the test may stop, pause and kill."""
    with local.valkey(tmp_path_factory.mktemp("valkey")) as server:
        shown_on_failure(server)
        yield server
        server.kill()  # nobody needs what it would still write


@pytest.fixture
def own_kafka(
    shown_on_failure: Callable[[LocalServer], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[local.LocalKafka]:
    """A broker that the test may stop, pause and kill."""
    with local.kafka(tmp_path_factory.mktemp("kafka")) as server:
        shown_on_failure(server)
        yield server
        server.kill()  # to shut down in order takes it seconds, and nobody needs what it would still write


@pytest.fixture(scope="session")
def admin(bootstrap_servers: str) -> AdminClient:
    """Creates topics on the shared broker."""
    return AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)


@pytest.fixture
def topics(admin: AdminClient) -> Iterator[Topics]:
    """Topics of this test alone, on the shared broker."""
    made = create_topics(admin)
    yield made
    for future in admin.delete_topics([made.input, made.output, made.dlq]).values():
        future.result()


def create_topics(admin: AdminClient, *, partitions: int = 4, replication: int = 1) -> Topics:
    """A fresh set of topics with names nobody else has."""
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"texts-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", partitions)
    config = {"max.message.bytes": str(4 * 1024 * 1024)}
    new = [NewTopic(name, partitions, replication, config=config) for name in (made.input, made.output, made.dlq)]
    for future in admin.create_topics(new).values():
        future.result()
    return made


@pytest.fixture
def goemotions() -> Path:
    """The data set's folder, where it lies beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs GoEmotions in {SHARED_DATA.name} beside the project")
    return SHARED_DATA
