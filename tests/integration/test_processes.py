"""Jobs in processes of their own: what ends them, and what becomes of the one that started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.checkpoint import Interrupted
from training.data import DataError
from training.processes import ProcessDied, each_in_its_own

WAITS = """
import sys
from pathlib import Path
from tests.integration.test_processes import until_told
from training.processes import each_in_its_own
if __name__ == "__main__":
    list(each_in_its_own(until_told, [(Path(sys.argv[1]) / str(job),) for job in range(4)], processes=2))
"""


def until_told(place: Path, stop: Callable[[], bool]) -> None:
    """Says that it began, with its own number, and how it ended."""
    place.write_text(f"{os.getpid()}")
    while not stop():
        time.sleep(0.01)  # as a step takes its time
    place.with_suffix(".saved").write_text("")
    raise Interrupted("told")


def written(place: Path, content: str, stop: Callable[[], bool]) -> None:
    if content == "wrong":
        raise DataError("this one is wrong")
    if content == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    place.write_text(content)


def test_every_job_is_done_once(tmp_path: Path) -> None:
    jobs = [(tmp_path / name, name) for name in "abc"]
    assert [0, 1, 2] == sorted(each_in_its_own(written, jobs, processes=2))
    assert {name: name for name in "abc"} == {file.name: file.read_text() for file in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [("wrong", DataError, "this one is wrong"), ("killed", ProcessDied, r"code -9\); was there memory enough")],
)
def test_what_goes_wrong_in_one_stops_the_others(
    tmp_path: Path, content: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        list(each_in_its_own(written, [(tmp_path / "a", content), (tmp_path / "b", "b")], processes=1))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.timeout(200)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_all_end_with_the_one_that_started_them(tmp_path: Path, sent: signal.Signals) -> None:
    """Each with what it saves, also where nothing could tell it; no other job begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path)], stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        wait_for(lambda: 2 == sum(bool(place.read_text()) for place in tmp_path.iterdir()))
        children = [int(place.read_text()) for place in tmp_path.iterdir()]
        process.send_signal(sent)
        process.communicate(timeout=60)
        # Told, it raises; killed, it cannot.
        assert (-9 if sent is signal.SIGKILL else 1) == process.returncode
    finally:
        process.kill()
    try:
        wait_for(lambda: not any(map(runs, children)))
    finally:
        for child in filter(runs, children):
            os.kill(child, signal.SIGKILL)
    assert ["0", "0.saved", "1", "1.saved"] == sorted(place.name for place in tmp_path.iterdir())


def runs(process: int) -> bool:
    """Whether it has not ended; one that nobody has asked about yet has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.01)
