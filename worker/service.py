"""One worker from its first client to its last: built, run, taken down in the order that loses nothing."""

import contextlib
from collections.abc import Iterator

from model import artifact
from model.device import DeviceUnknown, choose_device, gpus, installed
from model.engine import require
from model.tagger import EmotionTagger

from . import clients, memory
from .batching import StepBudget
from .cache import Cache, NoCache, RedisCache
from .delivery import DeliveryFailures
from .encode import Encoder
from .lag import LagWatch
from .lifecycle import Lifecycle
from .pipeline import Pipeline
from .settings import Settings, SettingsProblem
from .sink import Sink, sink_of
from .source import Source
from .telemetry import Telemetry
from .traces import traces_of


def serve(settings: Settings, telemetry: Telemetry, lifecycle: Lifecycle, *, version: str) -> None:
    """Run until *lifecycle* says stop.

    Raises:
        StopWorker: the worker cannot go on; nothing uncommitted was lost.
        SettingsProblem: the settings are at odds with one another or with this machine.
        ArtifactError: the model must not be served.
    """
    memory.share_arenas()
    deadline_s = settings.kafka.unavailable_s
    with contextlib.ExitStack() as stack:
        traces = traces_of(settings, version=version)
        stack.callback(traces.close)
        source = Source(
            settings.input.topic,
            deadline_s=deadline_s,
            telemetry=telemetry,
            stop_at_gap=settings.input.offset_gone == "stop",
            broker_assigns=settings.kafka.properties.get("group.protocol") == "consumer",
        )
        source.attach(clients.consumer(settings, source.note_error, source.note_gap))
        stack.callback(source.close)  # leaves the group: last, when all is committed
        topics = [settings.input.topic, settings.output.topic, settings.dlq.topic]
        source.require_topics(topics, stop=lifecycle.stop)
        if lifecycle.stop.is_set():
            return
        tagger = _tagger(settings)
        telemetry.engine_chosen(tagger.engine, tagger.precision, tagger.choice.how, dict(tagger.choice.timings_ms))
        if settings.model.device == "auto" and not installed("torch") and (unused := gpus()):
            telemetry.gpus_unused(unused)
        if lifecycle.stop.is_set():
            return
        sink = _sink(settings, source)
        sink.open()
        cache = _cache(settings, len(tagger.labels), telemetry)
        stack.callback(cache.close)
        names = {"name": tagger.name, "version": tagger.version, "thresholds": tagger.thresholds_version}
        budget = StepBudget(
            objective_s=min(settings.latency_slo_ms / 1000, settings.drain_s / 2),
            most=settings.batch.max_records,
            record_s=tagger.seconds_per_text(),
        )
        telemetry.step_calibrated(budget.records())
        telemetry.model_loaded(tagger)
        pipeline = Pipeline(
            source=source,
            cache=cache,
            tagger=tagger,
            sink=sink,
            encoder=Encoder(names, settings.output.topic, settings.dlq.topic, settings.kafka.group_id, version),
            budget=budget,
            settings=settings,
            telemetry=telemetry,
            traces=traces,
        )
        stack.callback(pipeline.close)
        lag = LagWatch(clients.admin(settings), settings.kafka.group_id, source.positions, telemetry.lag_found)
        stack.callback(lag.close)
        telemetry.started(
            version=version,
            model=tagger.name,
            model_version=tagger.version,
            thresholds=tagger.thresholds_version,
            engine=tagger.engine,
            device=tagger.device,
            precision=tagger.precision,
        )
        lifecycle.started(ready=lambda: source.joined and source.reachable)
        spare = memory.Spare()

        def after_each_round() -> None:
            lifecycle.alive()
            spare.give_back()

        pipeline.run(lifecycle.stop, after_each_round=after_each_round)


def check(settings: Settings) -> None:
    """Build what needs no server, and let it go: what passes here fails at most for what is outside.

    Raises:
        SettingsProblem, ArtifactError: as for `serve`.
    """
    clients.consumer(settings, lambda error: None, lambda why: None).close()
    clients.producer(settings, lambda error: None, DeliveryFailures())
    with _device_mistakes_named():
        device = choose_device(settings.model.device)
        if settings.model.engine != "auto":
            require(settings.model.engine, device)
    labels = artifact.load(settings.model.path or artifact.DEFAULT).config.labels
    _cache(settings, len(labels), Telemetry()).close()
    traces_of(settings, version="").close()


def _tagger(settings: Settings) -> EmotionTagger:
    with _device_mistakes_named():
        chosen = settings.model
        return EmotionTagger.load(chosen.path, on=chosen.device, engine=chosen.engine, precision=chosen.precision)


@contextlib.contextmanager
def _device_mistakes_named() -> Iterator[None]:
    try:
        yield
    except DeviceUnknown as error:
        raise SettingsProblem(
            f"model: {error} (EMOTAG_MODEL__DEVICE, EMOTAG_MODEL__ENGINE, EMOTAG_MODEL__PRECISION)"
        ) from error


def _sink(settings: Settings, source: Source) -> Sink:
    failures = DeliveryFailures()
    producer = clients.producer(settings, source.note_error, failures)
    return sink_of(settings, producer, failures)


def _cache(settings: Settings, labels: int, telemetry: Telemetry) -> Cache:
    if settings.cache.url is None:
        return NoCache()
    try:
        return RedisCache(settings.cache, labels=labels, telemetry=telemetry)
    except ValueError:  # its message may carry the URL, and with it a password
        raise SettingsProblem("EMOTAG_CACHE__URL takes redis://, rediss:// or unix://") from None
