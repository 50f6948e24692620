"""All settings of the worker: one object with a section for each subject."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .fields import Processes, SettingsSection
from .machine import AdminSettings, BatchSettings, CacheSettings, LogSettings, ModelSettings, TracesSettings
from .stream import DlqSettings, InputSettings, KafkaSettings, OutputSettings


class Settings(SettingsSection):
    """All settings of the worker. `Settings()` has the defaults; `loader.load` reads the operator's."""

    kafka: KafkaSettings = KafkaSettings()
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    dlq: DlqSettings = DlqSettings()
    delivery: Annotated[
        Literal["exactly_once", "at_least_once"],
        Field(description="Delivery guarantee. exactly_once uses Kafka transactions, at_least_once does not."),
    ] = "exactly_once"
    cache: CacheSettings = CacheSettings()
    model: ModelSettings = ModelSettings()
    batch: BatchSettings = BatchSettings()
    admin: AdminSettings = AdminSettings()
    latency_slo_ms: Annotated[
        int,
        Field(
            ge=1,
            description="Target in milliseconds for the time from the poll of a record to its commit, under load. The "
            "worker limits the size of a batch to meet it.",
        ),
    ] = 1000
    """Larger batches cost fewer transactions. If half the shutdown timeout is shorter, it is the limit: the batches in
    flight when the signal arrives must be committed within the timeout."""
    commit_interval_ms: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Shortest time in milliseconds from one commit to the next. Batches that complete meanwhile "
            "share a transaction. The first record after a pause is committed at once. At most half of "
            "latency_slo_ms takes effect. 0: each batch is committed alone.",
        ),
    ] = 100
    """A transaction writes a marker to each partition and costs requests, however few records it has. Ten in a second
    add at most 100 ms to a result's latency while records trickle in, and nothing under load. A second is the upper
    bound, because fewer than one transaction per second save nothing more."""
    processes: Annotated[
        Processes,
        Field(
            description="Number of workers that one emotag run starts, each in a process with its share of the cores. "
            "auto: one for each usable core; on a GPU, four at most.",
        ),
    ] = 1
    """One worker already uses all cores for new texts. Several are for repeats and for GPUs, where one Python process
    is the limit, and each needs its own memory."""
    shutdown_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Longest time in seconds from SIGTERM to the exit. Keep it below the grace period after which "
            "the worker is killed; in Kubernetes the default is 30 s.",
        ),
    ] = 25.0
    on_mistake: Annotated[
        Literal["exit", "hold"],
        Field(
            description="Reaction to a mistake that you must fix. exit: end with exit code 2. hold: release the "
            "partitions and stay alive, but not ready, until a signal arrives; then end with exit code 2. Use hold if "
            "your supervisor restarts the worker after any exit code. A missing topic, or an invalid value of a "
            "setting, always ends the worker.",
        ),
    ] = "exit"
    """Kubernetes restarts a pod regardless of the exit code: each start would move partitions and repeat the mistake.
    A setting that cannot be read always ends the worker: there is no port for probes yet."""
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()

    @model_validator(mode="after")
    def _check_topics_differ(self) -> Self:
        # Otherwise the worker would read its own results and dead letters, without end.
        topics = {"input.topic": self.input.topic, "output.topic": self.output.topic, "dlq.topic": self.dlq.topic}
        shared = [name for name, topic in topics.items() if list(topics.values()).count(topic) > 1]
        if shared:
            raise ValueError(
                f"{' and '.join(shared)} are the same topic, {topics[shared[0]]!r}: use three different topics "
                "(EMOTAG_INPUT__TOPIC, EMOTAG_OUTPUT__TOPIC, EMOTAG_DLQ__TOPIC)"
            )
        return self


def check_cache_secret(settings: Settings) -> str | None:
    """Return a warning if there is a cache without a hash secret; None otherwise."""
    if settings.cache.url is None or settings.cache.hash_secret is not None:
        return None
    return (
        "EMOTAG_CACHE__HASH_SECRET is not set: anyone with access to Redis can test whether a guessed text was seen, "
        "and change results"
    )
