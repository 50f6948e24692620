"""A real Prometheus scrapes running workers: every query of the dashboard has an answer, and alerts fire under their
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

from model import artifact
from model.reference import Reference
from model.tagger import EmotionTagger
from tests.chaos.test_device import RiggedWorker
from tests.conftest import Topics, create_topics
from tests.stream import Sent, send, text
from worker.demo import sample_texts
from worker.local import LocalValkey

from .conftest import StartWorker
from .prometheus import OBSERVE, WINDOW, Prometheus

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),)

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus on PATH")


def queries() -> Iterator[tuple[str, str]]:
    """(panel, query) of the dashboard, as Grafana would ask them."""
    for panel in json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", WINDOW)
            yield panel["title"], query.replace("$namespace", ".*").replace("$job", "emotag")


def strange(number: int) -> Sent:
    """Nothing that the model has met: two words in three are unknown to it."""
    return text(" ".join(["☃☃ ⛄"] * 30) + f" {number % 7}")


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A copy of the shipped artifact that has a reference: the sample texts."""
    folder = tmp_path / "watched"
    shutil.copytree(artifact.DEFAULT, folder)
    tagger = EmotionTagger.load(folder, on="cpu", engine="openvino", precision="fp32")
    tokens = tagger.tokenise(sample_texts())
    rates = dict.fromkeys(tagger.labels, 0.1)
    reference = Reference.of(tagger.probabilities(tokens), tokens, rates)
    (folder / artifact.REFERENCE).write_text(json.dumps(reference.written()), encoding="utf-8")
    artifact._write_sums(folder)
    return folder


def test_prometheus_has_an_answer_to_every_panel_and_alerts_fire_under_their_faults(
    start_worker: StartWorker,
    admin: AdminClient,
    bootstrap_servers: str,
    topics: Topics,
    own_valkey: LocalValkey,
    watched: Path,
    tmp_path: Path,
) -> None:
    """One worker that is well and then is sent nonsense and loses its cache; one whose device does not come back."""
    worker = start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_CACHE__URL": own_valkey.url,
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
        fresh = (text(f"{words} {number}") for number, words in enumerate(itertools.cycle(sample_texts())))

        def until(what: Callable[[], bool], *records: Sent, within_s: float = 40) -> None:
            """Send something every half second until it is so."""
            give_up_at = time.monotonic() + within_s
            while not what():
                assert time.monotonic() < give_up_at, prometheus.firing()
                send(bootstrap_servers, topics.input, [next(fresh), *records])
                send(bootstrap_servers, others.input, list(itertools.islice(fresh, 50)))
                time.sleep(0.5)  # Prometheus itself looks once a second

        normal = [Sent(text(words).value, headers=TRACED) for words in sample_texts()]
        send(bootstrap_servers, topics.input, normal * 6)
        until(lambda: prometheus.values('emotag_drift_window_texts{job="emotag"} > 1000') != [])
        until(lambda: prometheus.values('rate(emotag_commits_total{job="emotag"}[10s]) > 0') != [])
        assert set() == {alert for alert, job in prometheus.firing() if job == "emotag"}
        shown = prometheus.ask(
            "query_exemplars",
            query="emotag_text_to_tag_seconds_bucket",
            start=str(time.time() - 120),
            end=str(time.time()),
        )
        assert {TRACE} == {each["labels"]["trace_id"] for series in shown for each in series["exemplars"]}

        send(bootstrap_servers, topics.input, [strange(number) for number in range(1500)])
        send(bootstrap_servers, others.input, list(itertools.islice(fresh, 1200)))
        own_valkey.pause()
        expected = {
            ("EmotagCacheDown", "emotag"),
            ("EmotagDeadLetters", "emotag"),
            ("EmotagScoreDrift", "emotag"),
            ("EmotagLengthDrift", "emotag"),
            ("EmotagUnknownTokens", "emotag"),
            ("EmotagNoProgress", "stuck"),
            ("EmotagLagGrowing", "stuck"),
        }
        seen: set[tuple[str, str]] = set()

        def all_seen() -> bool:
            seen.update(prometheus.firing())
            return expected <= seen

        until(all_seen, Sent(b"{"), strange(0))
        for panel, query in queries():
            found = prometheus.values(query)
            assert found, f"{panel}: nothing for {query}"
            assert not any(value != value for value in found), f"{panel}: no number for {query}"
        assert expected == {each for each in seen if each[0] != "EmotagNoWorker"}
        worker.kill()
        stuck.kill()
        until(lambda: ("EmotagNoWorker", "") in prometheus.firing())
