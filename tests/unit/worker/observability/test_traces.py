"""Traces are off unless the settings name an endpoint."""

import sys

import pytest

from emotag_worker.errors import SettingsError
from emotag_worker.observability.traces import NoTraces, open_traces
from emotag_worker.settings import loader
from emotag_worker.wire.record import Record

SETTINGS = {"traces": {"endpoint": "http://127.0.0.1:1"}}
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def test_without_an_endpoint_traces_are_off_and_headers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the platform sets OpenTelemetry's own variable for every process."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    traces = open_traces(loader.load(), version="0")
    assert isinstance(traces, NoTraces)
    record = Record("texts", 0, 0, None, b"", (("traceparent", b"any"),))
    assert record is traces.begin([record], 0.0).continue_trace(record)


def test_a_missing_package_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with pytest.raises(SettingsError, match=r"EMOTAG_TRACES__ENDPOINT.*pip install \./schemas '\.\[traces\]'"):
        open_traces(loader.load(flags=SETTINGS), version="0")


def test_an_endpoint_turns_traces_on() -> None:
    traces = open_traces(loader.load(flags=SETTINGS), version="0")
    assert not isinstance(traces, NoTraces)
    traces.close()
