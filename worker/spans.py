"""Spans by OpenTelemetry, with the names and attributes of its conventions for messaging (1.44, Kafka's included).

Sent over OTLP/HTTP in a thread. A collector that is gone costs spans, never records: what finds no room is dropped.
Whatever else there is to set is OpenTelemetry's own (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, ...).
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

from model.background import Background

from .record import Headers, Record
from .settings import Settings
from .traceparent import TRACEPARENT, traceparent

SEND_S = 5.0
"""How long one sending may take, and how long the end of the process waits for the last: below the drain budget."""

PATH = "/v1/traces"

QUEUED_STEPS = 4
"""So many of the largest steps find room while one sending is under way; a step's spans end all at once."""


class Spans:
    """A tracer that sends to the endpoint of the settings.

    Raises:
        ModuleNotFoundError: the exporter is not installed.
    """

    def __init__(self, settings: Settings, *, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = str(settings.traces.endpoint).rstrip("/")
        exporter = OTLPSpanExporter(endpoint + PATH * (not endpoint.endswith(PATH)), timeout=SEND_S)
        self._provider = TracerProvider(
            # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before.
            resource=Resource({"service.name": "emotag", "service.version": version}).merge(Resource.create()),
            span_limits=SpanLimits(max_links=settings.batch.max_records),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=QUEUED_STEPS * (settings.batch.max_records + 1))
        )
        self._tracer = self._provider.get_tracer("emotag", version)
        self._settings = settings

    def begin(self, records: Sequence[Record], polled_at: float) -> "StepSpans":
        return StepSpans(self._tracer, self._settings, records, polled_at)

    def close(self) -> None:
        closing = Background("traces")
        closing.submit(self._provider.shutdown)
        closing.close(SEND_S)


class StepSpans:
    """One step's span, and one for each of its records that is traced."""

    def __init__(self, tracer: trace.Tracer, settings: Settings, records: Sequence[Record], polled_at: float) -> None:
        self._tracer = tracer
        self._output = settings.output.topic
        parents = [_parent(record.headers) for record in records]
        self._parents = dict(zip(((r.topic, r.partition, r.offset) for r in records), parents, strict=True))
        topic = settings.input.topic
        self._step = tracer.start_span(
            f"process {topic}",
            context=Context(),  # nobody's child: its records come from many traces
            kind=SpanKind.CONSUMER,
            start_time=_ns(polled_at),
            attributes={
                **_operation("process", "process", topic),
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

    def continued(self, record: Record) -> Record:
        parent = self._parents.get((record.topic, record.partition, record.offset))
        if parent is None or not parent.trace_flags.sampled:
            return record
        span = self._tracer.start_span(
            f"send {self._output}",
            context=trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            kind=SpanKind.PRODUCER,
            attributes={
                **_operation("send", "send", self._output),
                "emotag.source.partition.id": str(record.partition),
                "emotag.source.offset": record.offset,
            },
            links=[Link(self._step.get_span_context())],
        )
        if not span.is_recording():  # a sampler said no: the trace goes on as if this worker were not in it
            return record
        self._sends.append(span)
        mine = span.get_span_context()
        value = f"00-{mine.trace_id:032x}-{mine.span_id:016x}-{mine.trace_flags:02x}".encode()
        own = [(name, value if name == TRACEPARENT else content) for name, content in record.headers or ()]
        return msgspec.structs.replace(record, headers=own)

    def end(self, error: str = "") -> None:
        if self._ended:
            return
        self._ended = True
        now = time.time_ns()
        for span in (*self._sends, self._step):
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR))
            span.end(now)


def _parent(headers: Headers | None) -> SpanContext | None:
    found = traceparent(headers)
    if found is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if found.sampled else TraceFlags.DEFAULT)
    # `tracestate` is not read: the header goes on as it came, and OpenTelemetry would log what it cannot parse of it.
    return SpanContext(int(found.trace_id, 16), int(found.span_id, 16), True, flags)


def _operation(kind: str, name: str, topic: str) -> dict[str, AttributeValue]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
        "messaging.destination.name": topic,
    }


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
