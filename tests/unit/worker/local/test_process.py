"""A worker process is started in its own environment, and imports nothing from the current folder."""

import os
import subprocess
from pathlib import Path

import pytest

from emotag_worker.local import LocalWorker


@pytest.mark.parametrize("pythonpath", [None, "", "elsewhere"], ids=["no PYTHONPATH", "empty", "a folder"])
def test_a_worker_imports_nothing_from_the_current_folder(
    pythonpath: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not even modules that the worker or the standard library import by the same name."""
    for name in ("model.py", "worker.py", "emotag_model.py", "emotag_worker.py", "json.py", "typer.py"):
        (tmp_path / name).write_text("raise SystemExit('a file of the current folder was imported')", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if pythonpath is not None:
        monkeypatch.setenv("PYTHONPATH", pythonpath)
    worker = LocalWorker({"EMOTAG_KAFKA__GROUP_ID": "other"}, tmp_path / "data")
    with worker:
        command, environment = worker._build_command(), worker._build_environment()
    done = subprocess.run([*command, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert "emotag run" in done.stdout


def test_the_environment_is_the_callers_with_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_LATENCY_SLO_MS", "500")
    monkeypatch.setenv("EMOTAG_ADMIN__PORT", "1")
    with LocalWorker({"EMOTAG_LOG__LEVEL": "debug"}) as worker:
        first = dict(worker._build_environment())
        worker.move()
        second = worker._build_environment()
    assert ("500", "debug", "127.0.0.1") == tuple(
        first[f"EMOTAG_{name}"] for name in ("LATENCY_SLO_MS", "LOG__LEVEL", "ADMIN__HOST")
    )
    assert "1" != first["EMOTAG_ADMIN__PORT"] != second["EMOTAG_ADMIN__PORT"] == str(worker.admin_port)
    assert "1" == os.environ["EMOTAG_ADMIN__PORT"]


def test_a_worker_that_does_not_run_is_not_ready() -> None:
    with LocalWorker({}) as worker:
        assert not worker.is_ready()
        with pytest.raises(OSError):  # noqa: PT011  (refused, or reset: whichever the system reports)
            worker.get("/readyz")
