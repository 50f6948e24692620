"""A real Prometheus scrapes running workers: every query of the dashboard has a result, and alerts fire under their
faults.
"""

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from emotag_model import artifact
from emotag_model.reference_stats import ReferenceStats
from emotag_model.tagger import EmotionTagger
from emotag_worker.local import LocalValkey
from emotag_worker.local.demo_records import read_sample_texts
from tests.chaos.test_device import RiggedWorker
from tests.conftest import Topics, create_topics
from tests.prometheus import OBSERVE, WINDOW, Prometheus
from tests.stream import Sent, send, text

from .conftest import StartWorker

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),)

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus on PATH")


def queries() -> Iterator[tuple[str, str]]:
    """Return (panel, query) of the dashboard, as Grafana would send them."""
    for panel in json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", WINDOW)
            yield panel["title"], query.replace("$namespace", ".*").replace("$job", "emotag")


def strange(number: int) -> Sent:
    """Return texts unlike the training texts: two words in three are unknown tokens."""
    return text(" ".join(["☃☃ ⛄"] * 30) + f" {number % 7}")


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A copy of the shipped artifact whose drift reference is the sample texts."""
    folder = tmp_path / "watched"
    shutil.copytree(artifact.DEFAULT, folder)
    tagger = EmotionTagger.load(folder, on="cpu", engine="openvino", precision="fp32")
    tokens = tagger.tokenize(read_sample_texts())
    rates = dict.fromkeys(tagger.labels, 0.1)
    reference = ReferenceStats.of(tagger.probabilities(tokens), tokens, rates)
    (folder / artifact.REFERENCE).write_text(json.dumps(reference.to_json()), encoding="utf-8")
    artifact._write_sums(folder)
    return folder


EXPECTED = {
    ("EmotagCacheDown", "emotag"),
    ("EmotagDeadLetters", "emotag"),
    ("EmotagScoreDrift", "emotag"),
    ("EmotagLengthDrift", "emotag"),
    ("EmotagUnknownTokens", "emotag"),
    ("EmotagOutOfScope", "emotag"),
    ("EmotagNoProgress", "stuck"),
    ("EmotagLagGrowing", "stuck"),
    ("EmotagLagStays", "stuck"),
}
"""Alerts that must fire, and the job of each."""


def read_exemplars(prometheus: Prometheus) -> set[str]:
    """Return the trace ids of the exemplars of the last two minutes."""
    now = time.time()
    query = {"query": "emotag_end_to_end_seconds_bucket", "start": str(now - 120), "end": str(now)}
    shown = prometheus.ask("query_exemplars", **query)
    return {each["labels"]["trace_id"] for series in shown for each in series["exemplars"]}


def assert_every_panel_has_values(prometheus: Prometheus) -> None:
    for panel, query in queries():
        found = prometheus.values(query)
        assert found, f"{panel}: nothing for {query}"
        assert not any(value != value for value in found), f"{panel}: no number for {query}"


def test_prometheus_has_an_answer_to_every_panel_and_alerts_fire_under_their_faults(
    start_worker: StartWorker,
    admin: AdminClient,
    bootstrap_servers: str,
    topics: Topics,
    own_valkey: LocalValkey,
    watched: Path,
    tmp_path: Path,
) -> None:
    """One healthy worker that then gets nonsense and loses its cache; one whose device hangs."""
    worker = start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_CACHE__URL": own_valkey.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",
            "EMOTAG_MODEL__PATH": str(watched),
            "EMOTAG_MODEL__ENGINE": "openvino",
        }
    )
    others = create_topics(admin)
    with (
        RiggedWorker("stuck:3", others.environment(bootstrap_servers)) as stuck,
        Prometheus(tmp_path, {"emotag": [worker.admin_port], "stuck": [stuck.admin_port]}) as prometheus,
    ):
        stuck.start()
        fresh = (text(f"{words} {number}") for number, words in enumerate(itertools.cycle(read_sample_texts())))

        def until(what: Callable[[], bool], *records: Sent, within_s: float = 90) -> None:
            """Send texts every half second until the condition holds."""
            give_up_at = time.monotonic() + within_s
            while not what():
                assert time.monotonic() < give_up_at, prometheus.firing()
                send(bootstrap_servers, topics.input, [next(fresh), *records])
                send(bootstrap_servers, others.input, list(itertools.islice(fresh, 50)))
                time.sleep(0.5)  # Prometheus itself scrapes once a second

        normal = [Sent(text(words).value, headers=TRACED) for words in read_sample_texts()]
        send(bootstrap_servers, topics.input, normal * 6)
        until(lambda: prometheus.values('emotag_drift_window_texts{job="emotag"} > 1000') != [])
        until(lambda: prometheus.values('rate(emotag_commits_total{job="emotag"}[10s]) > 0') != [])
        assert set() == {alert for alert, job in prometheus.firing() if job == "emotag"}
        assert {TRACE} == read_exemplars(prometheus)

        send(bootstrap_servers, topics.input, [strange(number) for number in range(1500)])
        send(bootstrap_servers, others.input, list(itertools.islice(fresh, 4000)))  # more than the scaling threshold
        own_valkey.pause()
        seen: set[tuple[str, str]] = set()

        def all_seen() -> bool:
            seen.update(prometheus.firing())
            return seen >= EXPECTED

        until(all_seen, Sent(b"{"), strange(0))
        assert_every_panel_has_values(prometheus)
        assert EXPECTED == {each for each in seen if each[0] != "EmotagNoWorker"}
        worker.kill()
        stuck.kill()
        until(lambda: ("EmotagNoWorker", "") in prometheus.firing())
