"""Traces of records: off, and free, unless the settings name an endpoint.

With an endpoint, each batch has one span, which links to the spans of its records. Each record with a sampled
`traceparent` also has a span in its producer's trace, and the result carries that span's `traceparent`. All other
records, and all records without an endpoint, keep their headers. No span contains any part of a text or a key.

The OpenTelemetry library is optional, so the module `spans`, which imports it, is separate and loaded on demand.
"""

from collections.abc import Sequence

from emotag_model.errors import explain_install
from emotag_worker.errors import SettingsError
from emotag_worker.protocols import BatchTrace, Traces
from emotag_worker.settings import Settings
from emotag_worker.wire.record import Record


class NoTraces:
    """Traces that are off: headers stay as they are."""

    def begin(self, records: Sequence[Record], polled_at: float) -> BatchTrace:
        return self

    def continue_trace(self, record: Record) -> Record:
        return record

    def end(self, error: str = "") -> None:
        pass

    def close(self) -> None:
        pass


def open_traces(settings: Settings, *, version: str) -> Traces:
    """Return the traces that the settings request.

    Raises:
        SettingsError: the exporter is not installed.
    """
    if settings.traces.endpoint is None:
        return NoTraces()
    try:
        from .spans import Spans

        return Spans(settings, version=version)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"traces.endpoint (EMOTAG_TRACES__ENDPOINT) needs {error.name}, which is not installed; "
            f"{explain_install('traces')}"
        ) from error
