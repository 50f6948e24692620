"""`/livez` fails only after every deadline within a round."""

import pytest

from emotag_worker import pipeline as pipeline_
from emotag_worker.kafka.output.deadline import OVERDUE_S
from emotag_worker.liveness import compute_stuck_s
from emotag_worker.pipeline import HUNG, SLOW, STAY_S
from emotag_worker.settings import KafkaSettings, Settings

from .scripted import ScriptedSink, advance, build, message
from .test_pipeline import Slow


@pytest.mark.parametrize("broker_timeout_s", [1.0, 10.0, 47.0, 60.0, 600.0])
def test_a_round_that_ends_by_its_deadlines_is_never_stuck(broker_timeout_s: float) -> None:
    """A commit until the broker timeout, an abort for as long again, each noticed late, then a pause of 5 s."""
    settings = Settings(kafka=KafkaSettings(broker_timeout_s=broker_timeout_s, transaction_timeout_s=1.0))
    assert 2 * (broker_timeout_s + OVERDUE_S) + 5.0 < compute_stuck_s(settings)


def test_a_wait_for_the_device_gives_signs_of_life_more_often_than_any_limit() -> None:
    """So the limit need not exceed the two minutes after which a device counts as lost."""
    settings = Settings(kafka=KafkaSettings(broker_timeout_s=1.0, transaction_timeout_s=1.0), shutdown_timeout_s=2.0)
    assert STAY_S < compute_stuck_s(settings) < HUNG * STAY_S
    assert SLOW < HUNG


def test_a_worker_that_waits_for_its_device_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HUNG` ends a wait that is too long, with a reason. A probe that fails before would hide it."""
    monkeypatch.setattr(pipeline_, "STAY_S", 0.01)
    tagger, signs = Slow(), 0

    def count() -> None:
        nonlocal signs
        signs += 1
        if signs == 5:
            tagger.released.set()

    pipeline, _ = build(ScriptedSink(), message(0, 1), tagger=tagger, mark_alive=count)
    advance(pipeline, 2)
    pipeline.finish()
    assert signs > 5
