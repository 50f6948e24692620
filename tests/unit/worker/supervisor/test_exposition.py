"""The metrics and probes of several workers as those of one."""

import asyncio
import contextlib
import http.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from emotag_worker.observability.admin_server import Admin
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.supervisor import exposition
from emotag_worker.supervisor.child import Child
from emotag_worker.supervisor.exposition import Exposition, fetch, merge
from tests.unit.worker.observability.test_instruments import SAMPLED, TRACE, batch, record
from tests.unit.worker.observability.test_telemetry import PROMETHEUS_3

ACCEPTS = ["", "text/plain;version=1.0.0", "application/openmetrics-text;version=1.0.0", PROMETHEUS_3]

Sample = tuple[str, frozenset[tuple[str, str]], float]


def committed(records: int) -> Telemetry:
    """The telemetry of a worker that has committed some records."""
    telemetry = Telemetry()
    telemetry.report_commit([batch([record(n, 999_500, SAMPLED) for n in range(records)])])
    telemetry.report_cache_failure("redis", 'odd "kind" {of} # label\n', 1.0, "")
    return telemetry


def parse(text: str) -> dict[str, Any]:
    read: Callable[[str], Any] = read_openmetrics if text.endswith("# EOF\n") else read_plain
    families = list(read(text))
    names = [family.name for family in families]
    assert sorted(names) == sorted(set(names))
    return {family.name: family for family in families}


def list_samples(families: dict[str, Any]) -> set[Sample]:
    return {
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for family in families.values()
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", ACCEPTS)
def test_merged_metrics_are_valid_and_have_the_samples_of_all(accept: str) -> None:
    """Every sample of each worker, with its process; each family once, with its text, type and unit."""
    bodies = {str(n): committed(n + 1).render_metrics(accept)[0] for n in range(3)}
    merged = parse(merge(bodies).decode())
    for process, body in bodies.items():
        own = parse(body.decode())
        assert merged.keys() == own.keys()
        for name, family in own.items():
            assert (family.type, family.unit, family.documentation) == (
                merged[name].type,
                merged[name].unit,
                merged[name].documentation,
            )
        expected = {(name, labels | {("process", process)}, value) for name, labels, value in list_samples(own)}
        assert expected <= list_samples(merged)
    assert len(list_samples(merged)) == 3 * len(list_samples(own))


def test_exemplars_are_kept() -> None:
    bodies = {"0": committed(1).render_metrics(ACCEPTS[2])[0]}
    samples = parse(merge(bodies).decode())["emotag_end_to_end_seconds"].samples
    (found,) = [sample for sample in samples if sample.exemplar]
    assert {"trace_id": TRACE} == found.exemplar.labels
    assert "0" == found.labels["process"]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("a 1", 'a{process="7"} 1'),
        ("a{} 1", 'a{process="7"} 1'),
        ('a{b="c"} 1 2', 'a{process="7",b="c"} 1 2'),
        ('a_bucket{le="1"} 2 # {trace_id="f"} 0.5', 'a_bucket{process="7",le="1"} 2 # {trace_id="f"} 0.5'),
    ],
)
def test_a_sample_gets_the_label_first(sample: str, expected: str) -> None:
    assert f"{expected}\n".encode() == merge({"7": f"{sample}\n".encode()}).partition(b"# EOF")[0]


def child(number: int, port: int | None) -> Child:
    made = Child(number, [], [])
    made.port = port
    return made


@pytest.fixture
def worker() -> Iterator[Admin]:
    """The admin server of a worker that is alive and not ready."""
    telemetry = committed(1)
    with Admin(
        "127.0.0.1", 0, probe={"/livez": True, "/readyz": False}.get, metrics=telemetry.render_metrics
    ) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that never responds."""
    asked = asyncio.Event()

    async def wait(_: str) -> bool:
        await asked.wait()
        return True

    with Admin("127.0.0.1", 0, probe=wait, metrics=lambda _: (b"", "")) as server:
        yield server.port


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/livez", True), ("/readyz", "process 0, process 1 has not started"), ("/metricsz", None), ("/", None)],
)
def test_a_probe_succeeds_if_it_does_for_all(worker: Admin, path: str, expected: object) -> None:
    """A worker that waits for its restart is alive, and one that is done has nothing to be ready for."""
    done = child(2, None)
    done.is_done = True
    both = Exposition([child(0, worker.port), child(1, None), done])
    assert expected == asyncio.run(both.probe(path))


def test_a_worker_that_does_not_respond_is_named(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "ANSWER_S", 0.05)
    assert "process 0 does not respond" == asyncio.run(Exposition([child(0, silent)]).probe("/livez"))


def test_a_worker_whose_port_is_closed_does_not_respond() -> None:
    with Admin("127.0.0.1", 0, probe=lambda _: True, metrics=lambda _: (b"", "")) as server:
        assert asyncio.run(fetch(server.port, "/livez")) is not None
    assert asyncio.run(fetch(server.port, "/livez")) is None


@pytest.mark.parametrize("accept", ACCEPTS)
def test_metrics_of_the_workers_that_respond_are_served(worker: Admin, accept: str) -> None:
    body, kind = asyncio.run(Exposition([child(0, None), child(1, worker.port)]).render_metrics(accept))
    assert {"1"} == {dict(labels)["process"] for _, labels, _ in list_samples(parse(body.decode()))}
    assert Telemetry().render_metrics(accept)[1] == kind


@pytest.mark.parametrize(("accept", "kind"), [(ACCEPTS[0], "text/plain"), (ACCEPTS[2], "application/openmetrics-text")])
def test_without_a_worker_the_metrics_are_empty_and_valid(accept: str, kind: str) -> None:
    body, found = asyncio.run(Exposition([child(0, None)]).render_metrics(accept))
    assert {} == parse(body.decode())
    assert kind == found.partition(";")[0]


def test_the_port_of_the_supervisor_serves_both(worker: Admin) -> None:
    both = Exposition([child(0, worker.port), child(1, worker.port)])
    with Admin("127.0.0.1", 0, probe=both.probe, metrics=both.render_metrics) as server:

        def get(path: str) -> tuple[int, str]:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()

        assert (200, "ok\n") == get("/livez")
        assert (503, "not now: process 0, process 1\n") == get("/readyz")
        assert (404, "try /livez /readyz /startupz /metrics\n") == get("/other")
        status, metrics = get("/metrics")
        assert 200 == status
        assert {"0", "1"} == {dict(labels)["process"] for _, labels, _ in list_samples(parse(metrics))}
