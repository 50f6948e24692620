"""`python -m tests.acceptance.dashboard docs/dashboard.png`: the dashboard's panels, drawn from a real Prometheus.

Two workers with a cache process texts, half of them repeats. After a while one worker leaves and comes back, some
records are bad, and the cache is paused for some seconds. The picture shows the panels without Grafana.
"""

import argparse
import itertools
import json
import math
import os
import random
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from confluent_kafka.admin import AdminClient
from matplotlib.figure import Figure

from emotag_worker.local import LocalValkey, LocalWorker, run_kafka, run_valkey
from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import QUIET, Topics, create_topics
from tests.prometheus import OBSERVE, WINDOW, Prometheus
from tests.stream import Sent, send, text

SECONDS = 90
RATE = 60
"""Texts per second: half the throughput of two busy cores."""

ROWS_PER_INCH = 4.0

UNITS = {"short": "", "s": ", seconds", "bytes": ", bytes", "percentunit": ", share"}
"""{unit in Grafana: its name in the picture}"""


def main() -> None:
    """Run the workers, then draw the panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, run_kafka() as broker, run_valkey() as cache:
        topics = create_topics(AdminClient({"bootstrap.servers": broker.bootstrap_servers}, logger=QUIET))
        environment = {
            **topics.environment(broker.bootstrap_servers),
            "EMOTAG_CACHE__URL": cache.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "2000",
            "EMOTAG_MODEL__ENGINE": "openvino",
            "EMOTAG_MODEL__PRECISION": "fp32",
        }
        with LocalWorker(environment) as stays, LocalWorker(environment) as leaves:
            stays.start()
            leaves.start()
            targets = {"emotag": [stays.admin_port, leaves.admin_port]}
            with Prometheus(Path(folder), targets) as prometheus:
                began = time.time()
                _load(broker.bootstrap_servers, topics, leaves, cache)
                draw(prometheus, began, time.time(), given.picture)


def _load(bootstrap_servers: str, topics: Topics, leaves: LocalWorker, cache: LocalValkey) -> None:
    """Send texts at a steady rate, and cause the events."""
    chance, words = random.Random(1), read_sample_texts()
    fresh = (f"{each} {number}" for number, each in enumerate(itertools.cycle(words)))
    events = {
        30: lambda: os.kill(leaves.pid, signal.SIGTERM),
        45: leaves.launch,
        60: cache.pause,
        70: cache.resume,
    }
    began = time.monotonic()
    for second in range(SECONDS):
        events.get(second, lambda: None)()
        records = [text(chance.choice(words) if chance.random() < 0.5 else next(fresh)) for _ in range(RATE)]
        now_ms = round(time.time() * 1000)
        bad = [Sent(b"{", timestamp_ms=now_ms)] if second % 3 == 0 else []
        send(
            bootstrap_servers,
            topics.input,
            [Sent(each.value, each.key, timestamp_ms=now_ms) for each in records] + bad,
        )
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))  # the load must be steady


def draw(prometheus: Prometheus, began: float, ended: float, picture: Path) -> None:
    """Draw every panel that has lines, at its place in the dashboard."""
    panels = json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    mpl.rcParams.update({"font.size": 6, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(14, height / ROWS_PER_INCH))
    for panel in panels:
        place = panel["gridPos"]
        top = 1 - place["y"] / height
        if panel["type"] == "row":
            figure.text(0.01, top - 0.6 / height, panel["title"], fontsize=9, weight="bold")
            continue
        if panel["type"] != "timeseries":
            continue
        low = top - (place["h"] - 1.6) / height
        axes = figure.add_axes((place["x"] / 24 + 0.03, low, place["w"] / 24 - 0.045, (place["h"] - 2.8) / height))
        unit = UNITS[panel["fieldConfig"]["defaults"]["unit"]]
        axes.set_title(f"{panel['title']}{unit}", loc="left")
        for target in panel["targets"]:
            _lines(axes, prometheus, target, began, ended)
        axes.set_xlim(0, ended - began)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        if 1 < len(axes.get_lines()) <= 6:
            axes.legend(fontsize=5, frameon=False)
    figure.savefig(picture, dpi=100)


def _lines(axes: Any, prometheus: Prometheus, target: Mapping[str, str], began: float, ended: float) -> None:
    query = target["expr"].replace("$__rate_interval", WINDOW).replace("$namespace", ".*").replace("$job", "emotag")
    found = prometheus.ask("query_range", query=query, start=str(began), end=str(ended), step="1")
    for series in found["result"]:
        name = target.get("legendFormat", "")
        for label, value in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        known = {round(at - began): float(value) for at, value in series["values"]}
        seconds = range(round(ended - began) + 1)
        axes.plot(seconds, [known.get(at, math.nan) for at in seconds], linewidth=0.8, label=name)


if __name__ == "__main__":
    main()
