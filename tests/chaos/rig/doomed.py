"""`emotag run` that kills itself with SIGKILL at a named stage. Only tests start it.

DOOM=compute:3 python -m tests.chaos.rig.doomed        kills itself after the third device batch
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.chaos import mutants

if TYPE_CHECKING:
    from emotag_worker.kafka.output.sink import Step

VARIABLE = "DOOM"

STAGES = ("poll", "lookup", "compute", "remember", "produce", "offsets", "commit", "committed")
"""The stages before or after which the worker kills itself, in their order: records read; cache read; device
done; cache written; one record produced; before the offsets are added to the transaction; before the transaction is
committed; after the commit, before the pipeline knows.

Without transactions there is also `written`: all records are acknowledged, and no offsets are committed."""


def main() -> None:
    """Arm the stage, then run the command."""
    mutants.install()
    _hasten_lag()
    stage, _, times = os.environ.get(VARIABLE, "").partition(":")
    if stage:
        _arm(stage, int(times))
    from emotag_worker.cli import main as run

    sys.argv[1:] = ["run"]
    run()


def _hasten_lag() -> None:
    """Ask for the lag ten times as often: a request must not end the process while brokers are killed."""
    from emotag_worker.kafka import lag_watch

    lag_watch.EVERY_S /= 10
    lag_watch.PAUSE_RATIO = 0.0


class _Countdown:
    """Kills this process when a stage is passed for the last of *times*."""

    def __init__(self, times: int) -> None:
        self._left = times

    def count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def count_calls(self, owner: Any, name: str, *, counts: Callable[[Any], bool] = lambda _: True) -> None:
        """Count the calls of a function or method that return something that *counts*."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def counted(*args: Any, **keywords: Any) -> Any:
            found = inner(*args, **keywords)
            if counts(found):
                self.count()
            return found

        setattr(owner, name, counted)

    def count_step(self, deadline: type[Any], step: "Step", *, before: bool) -> None:
        """Count a named step of the sink, before or after it is done."""
        inner = deadline.retry

        @functools.wraps(inner)
        def counted(instance: Any, doing: str, *args: Any, **keywords: Any) -> None:
            if before and doing is step:
                self.count()
            inner(instance, doing, *args, **keywords)
            if not before and doing is step:
                self.count()

        deadline.retry = counted


def _arm(stage: str, times: int) -> None:
    from emotag_model.tagger import EmotionTagger
    from emotag_worker.cache.redis_cache import RedisCache
    from emotag_worker.kafka.input.source import KafkaSource
    from emotag_worker.kafka.output import sink
    from emotag_worker.kafka.output.deadline import Deadline

    countdown = _Countdown(times)
    match stage:
        case "poll":
            countdown.count_calls(KafkaSource, "poll", counts=bool)
        case "lookup":
            countdown.count_calls(RedisCache, "lookup")
        case "compute":
            countdown.count_calls(EmotionTagger, "probabilities_or_errors")
        case "remember":
            countdown.count_calls(RedisCache, "remember")
        case "produce":
            countdown.count_calls(sink, "produce_record")
        case "offsets":
            countdown.count_step(Deadline, sink.Step.SEND_OFFSETS, before=True)
        case "commit":
            countdown.count_step(Deadline, sink.Step.COMMIT, before=True)
        case "committed":
            countdown.count_step(Deadline, sink.Step.COMMIT, before=False)
        case "written":
            countdown.count_step(Deadline, sink.Step.COMMIT_OFFSETS, before=True)
        case _:
            sys.exit(f"{VARIABLE} takes STAGE:TIMES, a stage of {', '.join(STAGES)}")


if __name__ == "__main__":
    main()
