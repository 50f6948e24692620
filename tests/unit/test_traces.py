"""Traces: off unless asked for, asked for in one way."""

import sys
import time

import pytest

from worker import settings
from worker.record import Record
from worker.settings import SettingsProblem
from worker.spans import SEND_S, Spans
from worker.traces import NoTraces, traces_of

ASKED = {"traces": {"endpoint": "http://127.0.0.1:1"}}
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def test_without_an_endpoint_there_are_none_and_headers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the platform puts into every process's environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    traces = traces_of(settings.load(), version="0")
    assert isinstance(traces, NoTraces)
    record = Record("texts", 0, 0, None, b"", (("traceparent", b"any"),))
    assert record is traces.begin([record], 0.0).continued(record)


def test_what_is_not_installed_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with pytest.raises(SettingsProblem, match=r"EMOTAG_TRACES__ENDPOINT.*pip install 'emotag\[traces\]'"):
        traces_of(settings.load(flags=ASKED), version="0")


@pytest.mark.parametrize("endpoint", ["collector:4317", "grpc://collector:4317", "http://", "http://a b"])
def test_an_endpoint_that_is_no_address_of_http_is_a_mistake(endpoint: str) -> None:
    with pytest.raises(SettingsProblem, match="EMOTAG_TRACES__ENDPOINT"):
        settings.load(flags={"traces": {"endpoint": endpoint}})


def test_a_receiver_that_is_gone_holds_up_neither_a_step_nor_the_end() -> None:
    spans = Spans(settings.load(flags=ASKED), version="0")
    step = spans.begin([Record("texts", 0, 0, None, b"")], 0.0)
    step.end()
    step.end("again")
    began = time.monotonic()
    spans.close()
    assert time.monotonic() - began < SEND_S + 2


SAMPLED = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def test_a_tracestate_that_cannot_be_read_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold anything, any of a text too; it goes on as it came."""
    record = Record("texts", 0, 0, None, b"", (SAMPLED, ("tracestate", b"what somebody wrote")))
    spans = Spans(settings.load(flags=ASKED), version="0")
    step = spans.begin([record], 0.0)
    continued = step.continued(record)
    step.end()
    assert ("tracestate", b"what somebody wrote") in (continued.headers or ())
    assert SAMPLED not in (continued.headers or ())
    assert "somebody" not in caplog.text
    spans.close()


def test_a_trace_that_a_sampler_leaves_out_goes_on_past_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its consumers would else hang under a span that nobody recorded."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    record = Record("texts", 0, 0, None, b"", (SAMPLED,))
    spans = Spans(settings.load(flags=ASKED), version="0")
    assert record is spans.begin([record], 0.0).continued(record)
    spans.close()
