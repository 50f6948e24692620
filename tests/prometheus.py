"""A Prometheus server on loopback that scrapes running workers."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotag_worker.local.server import find_free_ports

OBSERVE = Path(__file__).parents[1] / "deploy" / "observe"
WINDOW = "10s"


class Prometheus:
    """A server that scrapes every second, with the shipped alerts and shorter times."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[int]]) -> None:
        (self._port,) = find_free_ports(1)
        rules = (OBSERVE / "alerts.yaml").read_text(encoding="utf-8")
        rules = re.sub(r"for: \d+[mh]", "for: 1s", rules)
        rules = re.sub(r"\[\d+m(:\d+m)?\]", lambda at: f"[{WINDOW}:1s]" if at[1] else f"[{WINDOW}]", rules)
        (folder / "alerts.yaml").write_text(rules, encoding="utf-8")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{port}" for port in ports], "labels": {"namespace": "test"}}
                    ],
                }
                for job, ports in targets.items()
            ],
        }
        (folder / "prometheus.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        self._command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
            "--log.level=error",
        ]

    def __enter__(self) -> "Prometheus":
        self._process = subprocess.Popen(self._command)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the API's response."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            answer = json.load(response)
        assert "success" == answer["status"], answer
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """Return the values of an instant query; fail if Prometheus rejects it."""
        return [float(found["value"][1]) for found in self.ask("query", query=query)["result"]]

    def firing(self) -> set[tuple[str, str]]:
        """Return (alert, job) of the alerts that fire."""
        alerts = self.ask("alerts")["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"].get("job", "")) for each in alerts if each["state"] == "firing"
        }
