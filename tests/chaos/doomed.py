"""`emotag run` that ends itself with `kill -9` at a named stage, the busiest moment there is. Only tests start it.

DOOM=compute:3 python -m tests.chaos.doomed        dies the third time that it has computed
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

VARIABLE = "DOOM"

STAGES = ("poll", "lookup", "compute", "remember", "produce", "offsets", "commit", "committed")
"""Records read; cache asked; device done; cache told; a record handed over; before the offsets are added to the
transaction; before it is committed; after it is committed, which the pipeline has not heard of yet.

Without transactions also `written`: all acknowledged, and the offsets not committed."""


def main() -> None:
    """Set the trap, then run as the command does."""
    stage, _, times = os.environ.get(VARIABLE, "").partition(":")
    if stage:
        _arm(stage, int(times))
    from worker.cli import main as run

    sys.argv[1:] = ["run"]
    run()


def _arm(stage: str, times: int) -> None:
    from model.tagger import EmotionTagger
    from worker import sink
    from worker.cache import RedisCache
    from worker.source import Source

    left = times

    def passed() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def then(owner: Any, name: str, *, counts: Callable[[Any], bool] = lambda _: True) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def wrapped(*args: Any, **keywords: Any) -> Any:
            found = inner(*args, **keywords)
            if counts(found):
                passed()
            return found

        setattr(owner, name, wrapped)

    def around_persist(doing: str, *, before: bool) -> None:
        inner = sink.TransactionalSink._persist

        def wrapped(self: sink.TransactionalSink, doing_now: str, call: Callable[[float], Any]) -> None:
            if doing_now == doing and before:
                passed()
            inner(self, doing_now, call)
            if doing_now == doing and not before:
                passed()

        sink.TransactionalSink._persist = wrapped  # type: ignore[method-assign,assignment]

    match stage:
        case "poll":
            then(Source, "poll", counts=bool)
        case "lookup":
            then(RedisCache, "lookup")
        case "compute":
            then(EmotionTagger, "probabilities_or_errors")
        case "remember":
            then(RedisCache, "remember")
        case "produce":
            then(sink, "_produce")
        case "offsets":
            around_persist("adding offsets to the transaction", before=True)
        case "commit":
            around_persist("committing a transaction", before=True)
        case "committed":
            around_persist("committing a transaction", before=False)
        case "written":
            inner = Source.commit

            def commit(self: Source, offsets: Any) -> None:
                passed()
                inner(self, offsets)

            Source.commit = commit  # type: ignore[method-assign]
        case _:
            sys.exit(f"{VARIABLE} takes STAGE:TIMES, a stage of {', '.join(STAGES)}")


if __name__ == "__main__":
    main()
