"""A trace continues through a worker and is sent to an OTLP receiver: a small one here, and OpenTelemetry's
collector if it is on PATH.
"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv._incubating.attributes import messaging_attributes

from emotag_worker.local.server import find_free_ports
from tests.conftest import Topics
from tests.stream import Sent, header_map, read_until, send

from .conftest import StartWorker

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
SECRET = "what nobody is to read"

Span = Mapping[str, Any]
Receiver = tuple[str, Callable[[], list[Span]]]
"""Its address, and the spans received so far, with hexadecimal ids."""

COLLECTOR = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}", flush_interval: 100ms}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}
"""


def small_receiver() -> Iterator[Receiver]:
    """A server that receives OTLP over HTTP, in protobuf, and keeps the spans."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/traces":
                spans.extend(_plain(span) for r in request.resource_spans for s in r.scope_spans for span in s.spans)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", lambda: list(spans)
        server.shutdown()
        thread.join()


def collector(folder: Path) -> Iterator[Receiver]:
    """OpenTelemetry's collector, which writes spans to a file."""
    binary = shutil.which("otelcol-contrib") or shutil.which("otelcol")
    if binary is None:
        pytest.skip("needs otelcol on PATH")
    (port,) = find_free_ports(1)
    file = folder / "spans.jsonl"
    (folder / "config.yaml").write_text(COLLECTOR.format(port=port, file=file), encoding="utf-8")
    with subprocess.Popen([binary, "--config", str(folder / "config.yaml")], stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{port}", lambda: _from_file(file)
        process.terminate()


def _plain(span: Any) -> Span:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "attributes": {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        "links": [{"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()} for link in span.links],
    }


def _from_file(file: Path) -> list[Span]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found: list[Span] = []
    for line in lines:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    values = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
                    found.append({"parentSpanId": "", "links": [], **span, "attributes": values})
    return found


@pytest.fixture(params=["small", "collector"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    yield from small_receiver() if request.param == "small" else collector(tmp_path)


def test_a_trace_goes_on_from_input_to_output_and_its_spans_are_sent(
    start_worker: StartWorker, bootstrap_servers: str, topics: Topics, receiver: Receiver
) -> None:
    """One span per batch with links to its records, and one per sampled record, which is the parent of its result."""
    endpoint, spans = receiver
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_TRACES__ENDPOINT": endpoint})
    traced = (("traceparent", f"00-{TRACE}-{SPAN}-01".encode()), ("tracestate", b"vendor=1"), ("own", b"x"))
    unsampled = (("traceparent", f"00-{OTHER}-{SPAN}-00".encode()),)
    value = json.dumps({"text": SECRET}).encode()
    send(
        bootstrap_servers,
        topics.input,
        [
            Sent(value, key=b"secret-key", headers=traced),
            Sent(value, headers=unsampled),
            Sent(value),
            Sent(b"{", headers=traced),
        ],
    )
    read = read_until(bootstrap_servers, topics, 4, timeout_s=60)
    worker.stop()
    assert 0 == worker.wait(30)

    results = [header_map(message) for messages in read.results.values() for message in messages]
    by_trace = {headers.get("traceparent", "--")[3:35]: headers for headers in results}
    assert f"00-{OTHER}-{SPAN}-00" == by_trace[OTHER]["traceparent"]
    assert any("traceparent" not in headers for headers in results)
    ((dead,),) = read.dead.values()
    assert f"00-{TRACE}-{SPAN}-01" == header_map(dead)["traceparent"]

    give_up_at = time.monotonic() + 10
    while not any(span["kind"] == 4 for span in spans()) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    (sent,) = [span for span in spans() if span["kind"] == 4]
    assert (TRACE, SPAN, f"send {topics.output}") == (sent["traceId"], sent["parentSpanId"], sent["name"])
    assert f"00-{TRACE}-{sent['spanId']}-01" == by_trace[TRACE]["traceparent"]
    assert ("vendor=1", "x") == (by_trace[TRACE]["tracestate"], by_trace[TRACE]["own"])
    assert "kafka" == sent["attributes"]["messaging.system"]
    assert topics.output == sent["attributes"]["messaging.destination.name"]

    batches = [span for span in spans() if span["kind"] == 5]
    assert 4 == sum(int(batch["attributes"]["messaging.batch.message_count"]) for batch in batches)
    assert {topics.group} == {batch["attributes"]["messaging.consumer.group.name"] for batch in batches}
    linked = [(link["traceId"], link["spanId"]) for batch in batches for link in batch["links"]]
    assert sorted([(TRACE, SPAN), (TRACE, SPAN), (OTHER, SPAN)]) == sorted(linked)
    assert sent["links"][0]["spanId"] in {batch["spanId"] for batch in batches}
    names = {name for span in spans() for name in span["attributes"] if name.startswith("messaging.")}
    assert names <= {value for value in vars(messaging_attributes).values() if isinstance(value, str)}
    told = json.dumps(spans())
    assert not any(word in told for word in (SECRET, SECRET.encode().hex(), "secret-key"))
