"""The parts of a worker are built in order, and all of them are closed in the order that loses nothing."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from emotag_model.errors import ArtifactError, DeviceUnknown
from emotag_worker import malloc, service
from emotag_worker.errors import BrokerUnavailable, SettingsError, TopicMissing
from emotag_worker.lifecycle import Lifecycle
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import (
    CacheSettings,
    KafkaSettings,
    ModelSettings,
    Settings,
    TracesSettings,
)
from emotag_worker.wire.placement import Placement

WITH_CACHE = Settings(cache=CacheSettings.model_validate({"url": "redis://r"}))


class Parts:
    """Fakes of every part that connects to a server or loads a model. Each notes when it is built, used and closed.

    Attributes:
        events: in their order.
        on: a call for an event, which sends a signal or fails.
        given: the arguments of each part that was built.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.on: dict[str, Callable[[], object]] = {}
        self.given: dict[str, Mapping[str, Any]] = {}
        self.joined = self.reachable = self.proven = True
        self.partitions = {"texts": 4, "emotions": 4, "texts.dlq": 4}

    def note(self, event: str) -> None:
        self.events.append(event)
        self.on.get(event, lambda: None)()

    def part(self, name: str, **methods: Any) -> Callable[..., Any]:
        """A part's constructor."""

        def build(*args: Any, **keywords: Any) -> Any:
            self.given[name] = {"args": args, **keywords}
            self.note(f"{name} opened")
            return SimpleNamespace(close=lambda: self.note(f"{name} closed"), **methods)

        return build

    def source(self, topic: str, **keywords: Any) -> Any:
        def require_topics(topics: list[str], *, stop: Event) -> dict[str, int]:
            self.note(f"source looked for {', '.join(topics)}")
            return self.partitions

        parts = self

        class Source(SimpleNamespace):
            @property
            def joined(self) -> bool:
                return parts.joined

            @property
            def reachable(self) -> bool:
                return parts.reachable

            @property
            def proven(self) -> bool:
                return parts.proven

        self.part("source")(topic, **keywords)
        return Source(
            require_topics=require_topics,
            attach=self.attach,
            close=lambda: self.note("source closed"),
            note_error=lambda error: None,
            positions=dict,
        )

    def attach(self, create: Callable[[], object], create_other: Callable[[], object]) -> None:
        create()
        create_other()

    def load(self, path: object, **keywords: Any) -> Any:
        self.given["tagger"] = {"path": path, **keywords}
        self.note("tagger loaded")
        return SimpleNamespace(
            name="one",
            version="sha256:0",
            thresholds_version="sha256:1",
            engine="torch",
            device="cpu",
            precision="fp32",
            labels=("joy",),
            reference_stats=None,
            choice=SimpleNamespace(how="named", timings_ms={}, reason=""),
            seconds_per_text=lambda: 0.001,
            memory_bytes=dict,
        )

    def pipeline(self, **keywords: Any) -> Any:
        def run(stop: Event, *, after_each_round: Callable[[], None]) -> None:
            self.note("pipeline runs")
            after_each_round()

        return self.part("pipeline", run=run)(**keywords)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()
    nothing = SimpleNamespace(
        **dict.fromkeys(
            ("create_consumer", "create_outsider", "create_producer", "create_admin", "create_offset_reader"),
            lambda *_, **__: contextlib.nullcontext(),
        )
    )
    monkeypatch.setattr(service, "clients", nothing)
    monkeypatch.setattr(service, "choose_tombstone_action", lambda _: ("dead_letter", ""))
    monkeypatch.setattr(service, "open_traces", parts.part("traces"))
    monkeypatch.setattr(service, "KafkaSource", parts.source)
    monkeypatch.setattr(service, "EmotionTagger", SimpleNamespace(load=parts.load))
    monkeypatch.setattr(service, "create_sink", parts.part("sink", open=lambda: parts.note("sink fenced")))
    monkeypatch.setattr(service, "RedisCache", parts.part("cache"))
    monkeypatch.setattr(service, "Pipeline", parts.pipeline)
    monkeypatch.setattr(service, "find_short_retentions", lambda *_: [])
    monkeypatch.setattr(service, "LagWatch", parts.part("lag"))
    monkeypatch.setattr(malloc, "share_arenas", lambda: parts.note("arenas shared"))
    monkeypatch.setattr(malloc, "trim", lambda: parts.note("memory trimmed"))
    monkeypatch.setattr(malloc, "collect_rarely", lambda: parts.note("collections rare"))
    return parts


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle(shutdown_timeout_s=25, telemetry=Telemetry())


def serve(lifecycle: Lifecycle, settings: Settings = WITH_CACHE) -> None:
    service.serve(settings, Telemetry(), lifecycle, version="0")


LOOKED = "source looked for texts, emotions, texts.dlq"
BUILT = [
    "arenas shared",
    "traces opened",
    "source opened",
    LOOKED,
    "sink opened",
    "tagger loaded",
    "sink fenced",
    "cache opened",
    "pipeline opened",
    "lag opened",
    "collections rare",
]
CLOSED = ["lag closed", "pipeline closed", "cache closed", "source closed", "traces closed"]


def test_parts_are_built_in_the_order_of_the_stream_and_closed_in_the_reverse(
    parts: Parts, lifecycle: Lifecycle
) -> None:
    """Memory before threads, mistakes before the model; the group is left when all is committed."""
    serve(lifecycle)
    assert [*BUILT, "pipeline runs", "memory trimmed", *CLOSED] == parts.events


def test_a_failure_of_the_pipeline_closes_every_part_and_is_raised(parts: Parts, lifecycle: Lifecycle) -> None:
    def fail() -> None:
        raise BrokerUnavailable("localhost:9092", "refused", "Start it")

    parts.on["pipeline runs"] = fail
    with pytest.raises(BrokerUnavailable):
        serve(lifecycle)
    assert [*BUILT, "pipeline runs", *CLOSED] == parts.events


@pytest.mark.parametrize("event", ["sink fenced", "cache opened", "pipeline opened", "lag opened"])
def test_a_failure_while_parts_are_built_closes_those_that_were(event: str, parts: Parts, lifecycle: Lifecycle) -> None:
    def fail() -> None:
        raise OSError(event)

    parts.on[event] = fail
    with pytest.raises(OSError, match=event):
        serve(lifecycle)
    built = [opened.removesuffix(" opened") for opened in BUILT[: BUILT.index(event)] if opened.endswith(" opened")]
    closed = [f"{name} closed" for name in reversed(built) if name != "sink"]  # a sink has nothing to close
    assert [*BUILT[: BUILT.index(event) + 1], *closed] == parts.events


def test_a_missing_topic_is_reported_before_the_model_is_loaded(parts: Parts, lifecycle: Lifecycle) -> None:
    def fail() -> None:
        raise TopicMissing({"texts.dlq": ""}, "localhost:9092")

    parts.on[LOOKED] = fail
    with pytest.raises(TopicMissing):
        serve(lifecycle)
    assert ["source closed", "traces closed"] == parts.events[-2:]
    assert "tagger loaded" not in parts.events


@pytest.mark.parametrize("event", [LOOKED, "tagger loaded"])
def test_a_signal_while_the_worker_starts_ends_it_without_joining_the_group(
    event: str, parts: Parts, lifecycle: Lifecycle
) -> None:
    """Partitions that it would take only to give them back would be read by nobody meanwhile."""
    parts.on[event] = lifecycle.stop.set
    serve(lifecycle)
    assert [event, "source closed", "traces closed"] == parts.events[-3:]


def test_the_worker_is_ready_when_it_runs_and_while_its_source_is(parts: Parts, lifecycle: Lifecycle) -> None:
    seen: list[bool | None] = []

    def look() -> None:
        seen.append(lifecycle.probe("/startupz"))
        for parts.joined, parts.reachable in ((True, True), (False, True), (True, False)):
            seen.append(lifecycle.probe("/readyz"))

    parts.on["lag opened"] = lambda: seen.append(lifecycle.probe("/startupz"))
    parts.on["pipeline runs"] = look
    serve(lifecycle)
    assert [False, True, True, False, False] == seen


def test_every_round_counts_as_a_sign_of_life(
    parts: Parts, lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    alive: list[bool | None] = []

    def wait() -> None:
        nonlocal now
        now += 1000
        alive.append(lifecycle.probe("/livez"))

    parts.on["pipeline runs"] = wait
    parts.on["memory trimmed"] = lambda: alive.append(lifecycle.probe("/livez"))  # after_each_round
    serve(lifecycle)
    assert [False, True] == alive


def test_without_a_url_there_is_no_cache(parts: Parts, lifecycle: Lifecycle) -> None:
    serve(lifecycle, Settings())
    assert "cache opened" not in parts.events
    assert "pipeline runs" in parts.events


@pytest.mark.parametrize(
    ("settings", "records"),
    [
        (Settings(latency_slo_ms=1000), 500),
        (Settings(latency_slo_ms=1000, shutdown_timeout_s=1), 250),
        (Settings(latency_slo_ms=100), 50),
    ],
    ids=["the latency objective", "half the shutdown timeout", "a shorter objective"],
)
def test_a_batch_is_as_large_as_the_shortest_of_its_deadlines_allows(
    settings: Settings, records: int, parts: Parts, lifecycle: Lifecycle
) -> None:
    """Two batches in flight, a millisecond a text."""
    serve(lifecycle, settings)
    assert records == parts.given["pipeline"]["budget"].max_records


def test_the_model_is_the_one_of_the_settings(parts: Parts, lifecycle: Lifecycle) -> None:
    serve(lifecycle, Settings(model=ModelSettings(path=Path("m"), device="cpu", engine="torch", precision="bf16")))
    given = dict(parts.given["tagger"])
    with capture_logs() as lines:
        given.pop("before_measuring")()
    assert ["engine_measurement_started"] == [line["event"] for line in lines]
    of_the_model = {"path": Path("m"), "on": "cpu", "engine": "torch", "precision": "bf16"}
    assert {**of_the_model, "long_texts": "windows", "reasons": False} == given


def test_an_unknown_device_is_a_mistake_in_named_settings(parts: Parts, lifecycle: Lifecycle) -> None:
    def fail() -> None:
        raise DeviceUnknown("there is no device tpu")

    parts.on["tagger loaded"] = fail
    with pytest.raises(SettingsError, match=r"no device tpu.*EMOTAG_MODEL__DEVICE") as caught:
        serve(lifecycle)
    assert isinstance(caught.value.__cause__, DeviceUnknown)
    assert ["source closed", "traces closed"] == parts.events[-2:]


def test_a_damaged_file_outside_the_models_directory_is_no_mistake_in_its_setting(
    parts: Parts, lifecycle: Lifecycle
) -> None:
    """The language detector's files belong to the package."""

    def fail() -> None:
        raise ArtifactError(Path("/package/lid.176.ftz"), "damaged")

    parts.on["tagger loaded"] = fail
    with pytest.raises(ArtifactError):
        serve(lifecycle, Settings(model=ModelSettings(path=Path("/m"))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(kafka=KafkaSettings(properties={"no.such": "x"})), "no.such"),
        (Settings(model=ModelSettings(device="tpu")), "EMOTAG_MODEL__DEVICE"),
        (
            Settings(model=ModelSettings(device="cpu", engine="openvino", precision="fp16")),
            "'fp16' is not available on cpu with openvino.*EMOTAG_MODEL__PRECISION",
        ),
        (
            Settings(model=ModelSettings(device="cpu", precision="fp32", engine="torch", path=Path("/no"))),
            "/no.*EMOTAG_MODEL__PATH",
        ),
        (Settings(cache=CacheSettings.model_validate({"url": "http://:hunter2@host"})), "EMOTAG_CACHE__URL"),
    ],
    ids=["property", "device", "precision", "model", "cache"],
)
def test_a_mistake_is_found_without_any_server(settings: Settings, message: str) -> None:
    """With the real parts, as `emotag config check` builds them."""
    with pytest.raises(SettingsError, match=message) as caught:
        service.check(settings)
    assert "hunter2" not in str(caught.value)


def test_settings_without_a_mistake_pass_without_any_server() -> None:
    service.check(
        Settings(
            cache=CacheSettings.model_validate({"url": "redis://nowhere:1"}),
            traces=TracesSettings(endpoint="http://nowhere:4318"),
        )
    )


def test_results_and_dead_letters_get_the_partitions_of_their_input_as_far_as_topics_agree(
    parts: Parts, lifecycle: Lifecycle
) -> None:
    parts.partitions = {"texts": 4, "emotions": 4, "texts.dlq": 1}
    serve(lifecycle)
    encoder = parts.given["pipeline"]["encoder"]
    assert (Placement(4), Placement(), True) == (encoder.results, encoder.dead_letters, encoder.input_timestamps)
    assert {"name": "one", "version": "sha256:0", "thresholds": "sha256:1", "precision": "fp32"} == encoder.model
