"""Redis with authentication: the real process uses it as a cache, and continues without it if it is rejected."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from emotag_worker.local import LocalValkey
from tests.conftest import Topics
from tests.stream import Reader, send, text

from .conftest import StartWorker, Trust
from .tls_proxy import tls_in_front_of

USER, PASSWORD, ADMIN_PASSWORD = "emotag", "p@ss/word:of?the#cache", "of the tests alone"
RULES = ("on", f">{PASSWORD}", "resetchannels", "-@all", "~emotag:*", "+mget", "+set", "+client|setinfo")
"""The permissions of a worker's user, from docs/security.md."""

TEXTS = [text(f"so happy {number}") for number in range(30)]


@dataclass(frozen=True)
class Cache:
    """A Valkey with a user for workers, behind TLS.

    Attributes:
        url: the worker's setting, without the password and the authority's file.
        admin: a client that may do everything, without TLS.
    """

    url: str
    admin: redis.Redis

    def environment(self, trust: Trust, **changes: str) -> dict[str, str]:
        values = {
            "password": "p%40ss%2Fword%3Aof%3Fthe%23cache",
            "pem": str(trust.authority.pem),
            "host": "localhost",
        } | changes
        # TLS is slow if a test and its servers share two cores.
        return {
            "EMOTAG_CACHE__URL": self.url.format(**values),
            "EMOTAG_CACHE__TIMEOUT_MS": "1000",
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",
        }


@pytest.fixture
def secured(own_valkey: LocalValkey, trust: Trust) -> Iterator[Callable[..., Cache]]:
    """Return a function that starts it, with a good or expired certificate. The default user gets a password."""
    with contextlib.ExitStack() as stack:

        def make(*, expired: bool = False, rules: tuple[str, ...] = RULES) -> Cache:
            certificate = trust.authority.sign("cache", "localhost", expired=expired)
            port = urlsplit(own_valkey.url).port
            assert port is not None
            tls_port = stack.enter_context(tls_in_front_of(port, certificate))
            with redis.Redis(port=port) as first:
                first.execute_command("ACL", "SETUSER", USER, *rules)
                first.config_set("requirepass", ADMIN_PASSWORD)
            admin = stack.enter_context(redis.Redis(port=port, password=ADMIN_PASSWORD))
            return Cache(f"rediss://{USER}:{{password}}@{{host}}:{tls_port}/0?ssl_ca_certs={{pem}}", admin)

        yield make


def tagged(bootstrap_servers: str, topics: Topics, *, rounds: int) -> list[bool]:
    """Send the same texts in several rounds, and return if each result of the last one came from the cache."""
    reader = Reader(bootstrap_servers, topics)
    for number in range(1, rounds + 1):
        placed = send(bootstrap_servers, topics.input, TEXTS)
        read = reader.until(number * len(TEXTS), timeout_s=60)
    reader.close()
    assert number * len(TEXTS) == len(read.times())
    parsed = read.parsed()
    return [parsed[place].cached for place in placed]


def test_the_documentation_gives_these_rules() -> None:
    page = Path(__file__).parents[2] / "docs" / "security.md"
    rules = " ".join(RULES).replace(PASSWORD, "PASSWORD")
    assert f"ACL SETUSER {USER} {rules}\n" in page.read_text(encoding="utf-8")


def test_batch_results_are_kept_through_tls_by_a_user_who_may_do_no_more(
    bootstrap_servers: str,
    topics: Topics,
    secured: Callable[..., Cache],
    trust: Trust,
    start_worker: StartWorker,
) -> None:
    """The second time all results come from the cache, and the server has refused nothing."""
    cache = secured()
    start_worker({**topics.environment(bootstrap_servers), **cache.environment(trust)})
    assert [True] * len(TEXTS) == tagged(bootstrap_servers, topics, rounds=2)
    assert len(TEXTS) == cache.admin.dbsize()
    assert [] == cache.admin.acl_log()


@pytest.mark.parametrize(
    ("made", "changes", "kind", "reason"),
    [
        ({}, {"password": "wrong-password"}, "AuthenticationError", "password"),
        ({}, {"pem": "stranger"}, "SSLCertVerificationError", "ssl_ca_certs in EMOTAG_CACHE__URL"),
        ({"expired": True}, {}, "SSLCertVerificationError", "certificate has expired"),
        ({}, {"host": "127.0.0.1"}, "SSLCertVerificationError", "valid for this host"),
        ({"rules": (*RULES, "-mget")}, {}, "NoPermissionError", "docs/security.md"),
        ({"rules": (*RULES, "-set")}, {}, "NoPermissionError", "docs/security.md"),
    ],
    ids=["wrong password", "wrong authority", "expired certificate", "another host's", "may not read", "may not write"],
)
def test_without_being_let_in_the_stream_goes_on_and_the_log_says_why(
    bootstrap_servers: str,
    topics: Topics,
    secured: Callable[..., Cache],
    trust: Trust,
    start_worker: StartWorker,
    made: dict[str, object],
    changes: dict[str, str],
    kind: str,
    reason: str,
) -> None:
    if "pem" in changes:
        changes = {"pem": str(trust.stranger.pem)}
    cache = secured(**made)
    worker = start_worker({**topics.environment(bootstrap_servers), **cache.environment(trust, **changes)})
    assert [False] * len(TEXTS) == tagged(bootstrap_servers, topics, rounds=2)
    assert 200 == worker.get("/readyz")[0]
    worker.stop()
    log = worker.log_path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    reported = [line for line in lines if line["event"] in ("cache_failed", "cache_entries_refused")]
    assert {kind} == {line["kind"] for line in reported}
    assert all(reason in line["reason"] for line in reported)
    assert "Traceback" not in log
    for secret in (PASSWORD, changes.get("password", PASSWORD), cache.url.partition("{")[0]):
        assert secret not in log
