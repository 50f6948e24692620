"""The settings of the worker's machinery: cache, model, batches, probes, traces and log.

Descriptions and docstrings as in `stream`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from emotag_model.engines.precision import EngineName, PrecisionName

from .fields import Allowed, SettingsSection


class CacheSettings(SettingsSection):
    """The results of texts that may be repeated, in the memory of each worker and in Redis."""

    url: Annotated[
        SecretStr | None,
        Allowed("redis://…, rediss://…, unix://…, redis+cluster://… or redis+sentinel://…"),
        Field(
            description="Redis that stores the scores of texts for all workers. Without it, each worker has only the "
            "cache in its own memory.",
            examples=["redis://localhost:6379/0"],
        ),
    ] = None
    ttl_s: Annotated[
        int, Field(ge=1, description="Seconds after which Redis deletes a cache entry (default: seven days).")
    ] = 7 * 24 * 3600
    """Each entry lives up to a tenth less, so that entries written together do not expire together."""
    hash_secret: Annotated[
        SecretStr | None,
        Allowed("any text that is not empty"),
        Field(
            min_length=1,
            description="Secret of the hash that turns texts into cache keys, and of the code that authenticates "
            "entries. Without it, anyone with access to Redis can test whether a guessed text was seen, and change "
            "results. Use the same secret for all workers.",
            examples=["a-long-random-text"],
        ),
    ] = None
    memory_entries: Annotated[
        int,
        Field(
            ge=0,
            le=10_000_000,
            description="Texts whose scores a worker keeps in its own memory, in about 0.3 kB each. 0: none.",
        ),
    ] = 100_000
    timeout_ms: Annotated[
        int, Field(ge=1, le=1000, description="Longest wait in milliseconds for a response of Redis.")
    ] = 150
    """One round trip carries the keys of a batch, and takes milliseconds if Redis is healthy."""


class ModelSettings(SettingsSection):
    """The model, and the device and engine that run it."""

    path: Annotated[
        Path | None,
        Allowed("a directory"),
        Field(
            description="Directory of a trained model. Without it, emotag uses the shipped model.",
            examples=["/models/mine"],
        ),
    ] = None
    device: Annotated[
        str,
        Allowed("auto, cpu, cuda or cuda:N"),
        AfterValidator(str.lower),
        Field(description="Device that runs the model. auto: a GPU if there is one, otherwise the CPU."),
    ] = "auto"
    engine: Annotated[
        Literal["auto", EngineName],
        Field(
            description="Library that runs the model. auto: torch on a GPU; on a CPU, native in int8 if it runs there, "
            "else the fastest other one, measured once for each processor and model. reference: slow, for models that "
            "no other engine supports.",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", PrecisionName],
        Field(
            description="Number format of the model. auto: fp16 on a GPU; on a CPU, int8 with the engine native, else "
            "measured together with the engine."
        ),
    ] = "auto"


class BatchSettings(SettingsSection):
    """The size limits of one batch."""

    max_records: Annotated[int, Field(ge=1, le=100_000, description="Largest number of records in one batch.")] = 4096
    """It applies even if the latency objective would allow more."""
    max_bytes: Annotated[
        int,
        Field(
            ge=1,
            description="Size of a batch in bytes of values, keys and headers: a batch that has reached it gets no "
            "more records.",
        ),
    ] = 16 * 1_048_576
    """Two batches are in memory at a time. If one partition is far behind and another is not, up to four times as much
    is read ahead."""


class AdminSettings(SettingsSection):
    """The port for probes and metrics."""

    host: Annotated[
        str,
        Allowed("a host name, an IP address or *"),
        Field(description="Address of probes and metrics. *: all addresses of this machine, of IPv6 and of IPv4."),
    ] = "*"
    """Probes and Prometheus come from outside the container."""
    port: Annotated[
        int, Field(ge=0, le=65_535, description="Port of probes and metrics. 0: any free port, which is logged.")
    ] = 8080


class TracesSettings(SettingsSection):
    """The receiver of traces."""

    endpoint: Annotated[
        str | None,
        Allowed("an http:// or https:// address without a password or a query (?…)"),
        Field(
            pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?\Z",
            description="OTLP/HTTP receiver of traces. Without it there are no traces.",
            examples=["http://collector:4318"],
        ),
    ] = None
    """Only this setting enables traces. OTEL_EXPORTER_OTLP_ENDPOINT does not, because platforms set it in every pod.
    Put passwords into OTEL_EXPORTER_OTLP_HEADERS, not into the address."""


class LogSettings(SettingsSection):
    """The level and the format of the log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Lowest level that is logged.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="Format of log lines. auto: console on a terminal, json elsewhere."),
    ] = "auto"
