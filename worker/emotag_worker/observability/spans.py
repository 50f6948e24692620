"""OpenTelemetry spans, with the names and attributes of its messaging and Kafka conventions (version 1.44).

A thread sends them over OTLP/HTTP. An unreachable collector costs spans, never records: if the queue is full, spans are
dropped. For everything else, set OpenTelemetry's own variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, ...).
"""

import time
from collections.abc import Sequence

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from emotag_model.daemon_threads import Background
from emotag_worker.settings import Settings
from emotag_worker.wire.record import Headers, Record
from emotag_worker.wire.traceparent import TRACEPARENT, parse_traceparent

SEND_S = 5.0
"""Longest time for one export, and for the last one at shutdown. It must stay below the shutdown timeout."""

PATH = "/v1/traces"

QUEUED_BATCHES = 4
"""Capacity of the queue in batches of the largest size. All spans of a batch end at the same time."""


class Spans:
    """Traces that are sent to the endpoint of the settings.

    Raises:
        ModuleNotFoundError: the exporter is not installed.
    """

    def __init__(self, settings: Settings, *, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = str(settings.traces.endpoint).rstrip("/")
        exporter = OTLPSpanExporter(endpoint + PATH * (not endpoint.endswith(PATH)), timeout=SEND_S)
        self._provider = TracerProvider(
            # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have priority.
            resource=Resource({"service.name": "emotag", "service.version": version}).merge(Resource.create()),
            span_limits=SpanLimits(max_links=settings.batch.max_records),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=QUEUED_BATCHES * (settings.batch.max_records + 1))
        )
        self._tracer = self._provider.get_tracer("emotag", version)
        self._settings = settings

    def begin(self, records: Sequence[Record], polled_at: float) -> "BatchSpans":
        return BatchSpans(self._tracer, self._settings, records, polled_at)

    def close(self) -> None:
        closing = Background("traces")
        closing.submit(self._provider.shutdown)
        closing.close(SEND_S)


class BatchSpans:
    """The span of one batch, and a span for each of its traced records."""

    def __init__(self, tracer: trace.Tracer, settings: Settings, records: Sequence[Record], polled_at: float) -> None:
        self._tracer = tracer
        self._output = settings.output.topic
        parents = [_read_parent(record.headers) for record in records]
        self._parents = dict(zip(((r.topic, r.partition, r.offset) for r in records), parents, strict=True))
        topic = settings.input.topic
        self._batch = tracer.start_span(
            f"process {topic}",
            context=Context(),  # no parent: the records of a batch come from many traces
            kind=SpanKind.CONSUMER,
            start_time=_to_ns(polled_at),
            attributes={
                **_describe_operation("process", "process", topic),
                "messaging.consumer.group.name": settings.kafka.group_id,
                "messaging.batch.message_count": len(records),
            },
            links=[
                Link(
                    parent,
                    {
                        "messaging.destination.partition.id": str(record.partition),
                        "messaging.kafka.offset": record.offset,
                    },
                )
                for record, parent in zip(records, parents, strict=True)
                if parent is not None
            ],
        )
        self._sends: list[Span] = []
        self._ended = False

    def continue_trace(self, record: Record) -> Record:
        parent = self._parents.get((record.topic, record.partition, record.offset))
        if parent is None or not parent.trace_flags.sampled:
            return record
        span = self._tracer.start_span(
            f"send {self._output}",
            context=trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            kind=SpanKind.PRODUCER,
            attributes={
                **_describe_operation("send", "send", self._output),
                "emotag.source.partition.id": str(record.partition),
                "emotag.source.offset": record.offset,
            },
            links=[Link(self._batch.get_span_context())],
        )
        if not span.is_recording():  # excluded by a sampler: the trace continues as if this worker were not part of it
            return record
        self._sends.append(span)
        context = span.get_span_context()
        value = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
        headers = [(name, value if name == TRACEPARENT else content) for name, content in record.headers or ()]
        return msgspec.structs.replace(record, headers=headers)

    def end(self, error: str = "") -> None:
        if self._ended:
            return
        self._ended = True
        now = time.time_ns()
        for span in (*self._sends, self._batch):
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR))
            span.end(now)


def _read_parent(headers: Headers | None) -> SpanContext | None:
    found = parse_traceparent(headers)
    if found is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if found.sampled else TraceFlags.DEFAULT)
    # `tracestate` is not parsed: the header is passed on unchanged, and OpenTelemetry would log invalid content.
    return SpanContext(int(found.trace_id, 16), int(found.span_id, 16), True, flags)


def _describe_operation(kind: str, name: str, topic: str) -> dict[str, AttributeValue]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
        "messaging.destination.name": topic,
    }


def _to_ns(seconds: float) -> int:
    return int(seconds * 1e9)
