"""Workers as processes."""

from collections.abc import Callable, Iterator

import pytest

from emotag_worker.local import LocalWorker
from emotag_worker.local.server import LocalServer

StartWorker = Callable[[dict[str, str]], LocalWorker]


@pytest.fixture
def create_worker(shown_on_failure: Callable[[LocalServer], None]) -> Iterator[StartWorker]:
    """Create workers that end with the test."""
    created: list[LocalWorker] = []

    def create(environment: dict[str, str]) -> LocalWorker:
        worker = LocalWorker(environment)
        created.append(worker)
        shown_on_failure(worker)
        return worker

    yield create
    for worker in created:
        worker.close()


@pytest.fixture
def start_worker(create_worker: StartWorker) -> StartWorker:
    """Start workers, and wait until each is ready."""

    def start(environment: dict[str, str]) -> LocalWorker:
        worker = create_worker(environment)
        worker.start()
        return worker

    return start
