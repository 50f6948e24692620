"""Workers that are launched and not awaited: these tests wait for results and log events."""

import pytest

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker


@pytest.fixture
def start_worker(create_worker: StartWorker) -> StartWorker:
    """Launch workers."""

    def start(environment: dict[str, str]) -> LocalWorker:
        worker = create_worker(environment)
        worker.launch()
        return worker

    return start
