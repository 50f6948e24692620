"""Spans of batches and records: their parents, links and attributes."""

import time

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from emotag_worker.observability.spans import SEND_S, Spans
from emotag_worker.settings import loader
from emotag_worker.wire.record import Record

SETTINGS = {"traces": {"endpoint": "http://127.0.0.1:1"}}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())
UNSAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-00".encode())


@pytest.fixture
def ended() -> tuple[Spans, InMemorySpanExporter]:
    """Return spans and an exporter that keeps those that have ended."""
    spans, exporter = Spans(loader.load(flags=SETTINGS), version="1"), InMemorySpanExporter()
    spans._provider.add_span_processor(SimpleSpanProcessor(exporter))
    return spans, exporter


def by_kind(exporter: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is kind]


def test_a_batch_links_to_its_records_and_a_sampled_record_has_a_span_in_its_trace(
    ended: tuple[Spans, InMemorySpanExporter],
) -> None:
    spans, exporter = ended
    records = [
        Record("texts", 3, 7, None, b"", (SAMPLED, ("own", b"x"))),
        Record("texts", 3, 8, None, b"", (UNSAMPLED,)),
        Record("texts", 3, 9, None, b"", None),
    ]
    batch = spans.begin(records, 12.5)
    continued = [batch.continue_trace(record) for record in records]
    assert not exporter.get_finished_spans()  # a span ends when its result is committed
    batch.end()
    assert records[1:] == continued[1:]

    (consumer,), (producer,) = by_kind(exporter, SpanKind.CONSUMER), by_kind(exporter, SpanKind.PRODUCER)
    assert ("process texts", None, 12_500_000_000) == (consumer.name, consumer.parent, consumer.start_time)
    assert consumer.attributes is not None
    assert 3 == consumer.attributes["messaging.batch.message_count"]
    assert [7, 8] == [link.attributes and link.attributes["messaging.kafka.offset"] for link in consumer.links]

    assert "send emotions" == producer.name
    assert producer.parent is not None
    assert producer.context is not None
    assert (TRACE, SPAN) == (f"{producer.parent.trace_id:032x}", f"{producer.parent.span_id:016x}")
    assert [consumer.context] == [link.context for link in producer.links]
    own = f"00-{TRACE}-{producer.context.span_id:016x}-01".encode()
    assert [("traceparent", own), ("own", b"x")] == list(continued[0].headers or ())
    assert producer.status.status_code is StatusCode.UNSET
    spans.close()


def test_a_failed_batch_marks_its_spans_once(ended: tuple[Spans, InMemorySpanExporter]) -> None:
    spans, exporter = ended
    record = Record("texts", 0, 0, None, b"", (SAMPLED,))
    batch = spans.begin([record], 0.0)
    batch.continue_trace(record)
    batch.end("CommitFailed")
    batch.end()
    found = exporter.get_finished_spans()
    assert 2 == len(found)
    for span in found:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "CommitFailed"
    spans.close()


def test_an_unreachable_receiver_delays_neither_a_batch_nor_the_end() -> None:
    spans = Spans(loader.load(flags=SETTINGS), version="0")
    batch = spans.begin([Record("texts", 0, 0, None, b"")], 0.0)
    batch.end()
    batch.end("again")
    began = time.monotonic()
    spans.close()
    assert time.monotonic() - began < SEND_S + 2


def test_an_invalid_tracestate_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It may contain anything, even parts of a text, and is passed on unchanged."""
    record = Record("texts", 0, 0, None, b"", (SAMPLED, ("tracestate", b"what somebody wrote")))
    spans = Spans(loader.load(flags=SETTINGS), version="0")
    batch = spans.begin([record], 0.0)
    continued = batch.continue_trace(record)
    batch.end()
    assert ("tracestate", b"what somebody wrote") in (continued.headers or ())
    assert SAMPLED not in (continued.headers or ())
    assert "somebody" not in caplog.text
    spans.close()


def test_a_trace_that_the_sampler_excludes_continues_past_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its consumers would belong to a span that was never recorded."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    record = Record("texts", 0, 0, None, b"", (SAMPLED,))
    spans = Spans(loader.load(flags=SETTINGS), version="0")
    assert record is spans.begin([record], 0.0).continue_trace(record)
    spans.close()
