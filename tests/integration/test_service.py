"""The start of a worker on a real broker, up to the moment at which its pipeline runs."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from emotag_worker import malloc, service
from emotag_worker.kafka import clients
from emotag_worker.lifecycle import Lifecycle
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import loader
from tests.conftest import Topics
from tests.unit.worker.test_service import Parts


def find_admin_clients() -> set[int]:
    gc.collect()
    return {id(each) for each in gc.get_objects() if type(each) is clients._Admin}


@pytest.mark.parametrize("until", [None, datetime(2026, 1, 1, tzinfo=UTC)], ids=["endless", "bounded"])
def test_no_admin_client_is_left_when_the_pipeline_runs(
    bootstrap_servers: str, topics: Topics, monkeypatch: pytest.MonkeyPatch, until: datetime | None
) -> None:
    """One that is idle can end the process while brokers restart (librdkafka's issue 3663)."""
    parts = Parts()
    monkeypatch.setattr(service, "EmotionTagger", SimpleNamespace(load=parts.load))
    monkeypatch.setattr(service, "Pipeline", parts.pipeline)
    monkeypatch.setattr(malloc, "share_arenas", lambda: None)
    monkeypatch.setattr(malloc, "collect_rarely", lambda: None)
    created = count_calls(monkeypatch)
    before = find_admin_clients()
    left: list[set[int]] = []
    parts.on["pipeline runs"] = lambda: left.append(find_admin_clients() - before)
    for name, value in topics.environment(bootstrap_servers).items():
        monkeypatch.setenv(name, value)
    lifecycle = Lifecycle(shutdown_timeout_s=25, telemetry=Telemetry())
    service.serve(loader.load(), Telemetry(), lifecycle, version="0", until=until)
    assert [set()] == left
    assert created, "the start asks for settings of topics, so it needs such clients"


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that gets an entry for each admin client."""
    create: Callable[..., object] = clients.create_admin
    calls: list[object] = []

    def count(*args: object, **keywords: object) -> object:
        calls.append(args)
        return create(*args, **keywords)

    monkeypatch.setattr(clients, "create_admin", count)
    return calls
