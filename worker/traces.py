"""Traces of what becomes of a record: off, and free, unless there is somewhere to send them.

With them on, each step has one span, linked with every record's own; each record that came with a `traceparent` which
is being recorded has a span in its producer's trace, and its result carries that span's `traceparent` on. Without them,
and for all other records, the header goes through as it came. No span has any of a text or a key.
"""

from collections.abc import Sequence
from typing import Protocol

from .record import Record
from .settings import Settings, SettingsProblem


class StepTrace(Protocol):
    """The spans of one step."""

    def continued(self, record: Record) -> Record:
        """The record as the sink's side is to see it: in the same trace, its span before the result's."""

    def end(self, error: str = "") -> None:
        """The step was committed, or not, and then for which kind of error. Only the first call counts."""


class Traces(Protocol):
    """Where spans go."""

    def begin(self, records: Sequence[Record], polled_at: float) -> StepTrace:
        """One step's spans, begun when it was polled, in seconds since 1970."""

    def close(self) -> None:
        """Send what is left, for no longer than a moment."""


class NoTraces:
    """Leaves headers as they are."""

    def begin(self, records: Sequence[Record], polled_at: float) -> StepTrace:
        return self

    def continued(self, record: Record) -> Record:
        return record

    def end(self, error: str = "") -> None:
        pass

    def close(self) -> None:
        pass


def traces_of(settings: Settings, *, version: str) -> Traces:
    """Those that the settings ask for.

    Raises:
        SettingsProblem: what sends them is not installed.
    """
    if settings.traces.endpoint is None:
        return NoTraces()
    try:
        from .spans import Spans

        return Spans(settings, version=version)
    except ModuleNotFoundError as error:
        raise SettingsProblem(
            f"traces.endpoint (EMOTAG_TRACES__ENDPOINT) needs {error.name}: pip install 'emotag[traces]'"
        ) from error
