"""Real servers for the tests, and one set of topics for each test.

If `KAFKA_BOOTSTRAP_SERVERS` and `REDIS_URL` are set, they name the servers; otherwise those of `emotag local` are
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

from emotag_worker import local
from emotag_worker.local.server import LocalServer
from tests import skips

# Shared machines are slow at times, and the time of a property test is no evidence against the property.
hypothesis.settings.register_profile("emotag", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("emotag")

QUIET = logging.getLogger("librdkafka.tests")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data" / "goemotions"
NVIDIA = Path("/dev/nvidiactl")
"""Exists if the machine has a GPU. Without one, Triton's kernels run in its interpreter."""
RUNNING = pytest.StashKey[list[LocalServer]]()


@dataclass(frozen=True)
class Topics:
    """The topics and the group of one test."""

    input: str
    output: str
    dlq: str
    group: str
    partitions: int

    def environment(self, bootstrap_servers: str) -> dict[str, str]:
        """The settings for a worker that uses them."""
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
        del os.environ[name]  # the caller's settings would change the tests
    if not NVIDIA.exists():
        # Triton reads this variable when it is imported, and any test of torch may import it.
        os.environ["TRITON_INTERPRET"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the end of the log of each server to the report of a failed test; in CI, fail for an unlisted skip."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if skips.in_ci():
        skips.fail_unlisted(report)
    if report.failed:
        for server in item.config.stash[RUNNING]:
            if server.log_path.is_file():
                report.sections.append((f"{server.name} log, {server.log_path}", server.read_log_tail(40)))
    return report  # type: ignore[return-value]


@pytest.fixture
def shown_on_failure(pytestconfig: pytest.Config) -> Iterator[Callable[[LocalServer], None]]:
    """Return a function that adds the log of a server to the report of a failure."""
    running = pytestconfig.stash[RUNNING]
    before = list(running)
    yield running.append
    running[:] = before


KEEP_OLD_RECORDS = {"log.retention.check.interval.ms": str(30 * 24 * 3600 * 1000)}
"""Brokers delete records with old timestamps every five minutes, also in the middle of a test that sent them."""


@pytest.fixture(scope="session")
def bootstrap_servers(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for all tests that do not harm it. Its log stays after the session, like all of pytest's folders."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with local.run_kafka(tmp_path_factory.mktemp("kafka"), properties=KEEP_OLD_RECORDS) as server:
        pytestconfig.stash[RUNNING].append(server)
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cache for all tests that do not harm it."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    with local.run_valkey(tmp_path_factory.mktemp("valkey")) as server:
        pytestconfig.stash[RUNNING].append(server)
        yield server.url


@pytest.fixture
def own_valkey(
    shown_on_failure: Callable[[LocalServer], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[local.LocalValkey]:
    """A cache that the test may stop, pause and kill."""
    with local.run_valkey(tmp_path_factory.mktemp("valkey")) as server:
        shown_on_failure(server)
        yield server
        server.kill()  # an orderly shutdown would only save data that nobody reads


@pytest.fixture
def own_kafka(
    shown_on_failure: Callable[[LocalServer], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[local.LocalKafka]:
    """A broker that the test may stop, pause and kill."""
    with local.run_kafka(tmp_path_factory.mktemp("kafka")) as server:
        shown_on_failure(server)
        yield server
        server.kill()  # an orderly shutdown takes seconds, and only saves data that nobody reads


@pytest.fixture(scope="session")
def admin(bootstrap_servers: str) -> AdminClient:
    """A client that creates topics on the shared broker."""
    return AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)


@pytest.fixture
def topics(admin: AdminClient) -> Iterator[Topics]:
    """Topics of this test alone, on the shared broker."""
    made = create_topics(admin)
    yield made
    for future in admin.delete_topics([made.input, made.output, made.dlq]).values():
        future.result()


def create_topics(
    admin: AdminClient, *, partitions: int = 4, replication: int = 1, ahead_ms: int | None = None
) -> Topics:
    """Create topics with unique names.

    Args:
        ahead_ms: how far ahead of the brokers' clock a timestamp of the input may be; None is the brokers' default,
            which the other topics always have.
    """
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"texts-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", partitions)
    config = {"max.message.bytes": str(4 * 1024 * 1024)}
    given = config if ahead_ms is None else config | {"message.timestamp.after.max.ms": str(ahead_ms)}
    new = [NewTopic(name, partitions, replication, config=config) for name in (made.output, made.dlq)]
    new.append(NewTopic(made.input, partitions, replication, config=given))
    for future in admin.create_topics(new).values():
        future.result()
    return made


@pytest.fixture(scope="session")
def goemotions() -> Path:
    """The folder of GoEmotions in `../shared`; tests are skipped if it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs GoEmotions in {SHARED_DATA.name} next to the project")
    return SHARED_DATA
