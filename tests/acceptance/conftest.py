"""Workers as processes."""

from collections.abc import Callable, Iterator

import pytest

from worker.local import LocalWorker
from worker.local.server import LocalServer

StartWorker = Callable[[dict[str, str]], LocalWorker]


@pytest.fixture
def start_worker(shown_on_failure: Callable[[LocalServer], None]) -> Iterator[StartWorker]:
    """Start workers that end with the test."""
    started: list[LocalWorker] = []

    def start(environment: dict[str, str]) -> LocalWorker:
        # Measuring the precision takes a second of every start; the demo's tests leave it to the measurement.
        worker = LocalWorker({"EMOTAG_MODEL__PRECISION": "fp32", **environment})
        started.append(worker)
        shown_on_failure(worker)
        worker.start()
        return worker

    yield start
    for worker in started:
        worker.close()
