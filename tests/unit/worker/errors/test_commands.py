"""Errors of commands: a person must fix something."""

import pytest

from emotag_worker.errors import PERSON_NEEDED, LocalServerFailed, StopWorker, WorkerError

from .test_base import kinds_under

OTHERS = [kind for kind in kinds_under(WorkerError) if kind not in (*kinds_under(StopWorker), LocalServerFailed)]


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_error_needs_a_person(kind: type[WorkerError]) -> None:
    assert PERSON_NEEDED == kind.exit_code
