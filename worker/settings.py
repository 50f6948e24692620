"""Every knob of the worker, with its unit and its reason.

Read from the environment (`EMOTAG_…`, nested with `__`), under it from a TOML file, over both from the command's flags.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "EMOTAG_"

SECRET = ("sasl.", "pass", "secret", "token", "private", "key.pem")
"""What the name of a Kafka property has in it where its value is nobody's business, most likely: mistyped names too."""

PUBLIC = ("sasl.mechanism", "sasl.mechanisms")
"""Those that are everybody's all the same."""

MASK = "**********"
"""As pydantic masks a secret."""

TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")

BROKER = re.compile(r"(?:[A-Z_]+://)?(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?")
"""One address, as librdkafka reads it: a name or a number, in brackets if that is IPv6's, and a port."""


def _brokers(value: str) -> str:
    if not all(BROKER.fullmatch(address.strip()) for address in value.split(",")):
        raise ValueError("takes host:port, or several with commas between them")
    return value


def _topic(value: str) -> str:
    if not TOPIC.fullmatch(value) or value in (".", ".."):
        raise ValueError("takes a name of up to 249 letters, digits, dots, hyphens and underscores")
    return value


Topic = Annotated[str, AfterValidator(_topic)]
"""A name that Kafka takes for a topic."""


class SettingsProblem(Exception):
    """Settings that cannot be used: which ones, and what they take. Never shows a value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KafkaSettings(_Section):
    """The brokers, and how long the worker waits for them."""

    bootstrap_servers: Annotated[str, AfterValidator(_brokers)] = "localhost:9092"
    group_id: Annotated[str, Field(pattern=r"\S")] = "emotag"
    """Consumer group; also the stem of transactional ids."""
    properties: dict[str, str | int | float | bool] = {}
    """Any librdkafka property for every client: security.protocol, group.instance.id, ..."""
    unavailable_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """How long the brokers may be gone before the worker gives up. Longer than a broker's restart; shorter than
    anyone's patience with a process that looks alive and does nothing."""
    transaction_timeout_s: Annotated[float, Field(ge=1, le=900)] = 15.0
    """After this the broker aborts a dead worker's transaction. Until then read_committed consumers wait behind it, so
    it is short; one step's writing takes milliseconds, so it is long enough."""


class InputSettings(_Section):
    """What is read."""

    topic: Topic = "texts"
    format: Literal["json", "text"] = "json"
    text_path: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")] = "text"
    """Where the text lies in a JSON value, as a dotted path."""
    offset_gone: Literal["continue", "stop"] = "continue"
    """What to do where records were deleted before they were read: go on behind them, or stop. Either is logged as an
    error and counted."""
    max_value_bytes: Annotated[int, Field(ge=1)] = 1_048_576
    """A larger value is dead-lettered unread: parsing it would hold up its neighbours."""
    max_metadata_bytes: Annotated[int, Field(ge=2)] = 65_536
    """A record with larger metadata is dead-lettered: it is copied into the result, which must fit its topic."""


class OutputSettings(_Section):
    """What is written."""

    topic: Topic = "emotions"
    all_scores: bool = False
    """Results carry the probabilities of all labels."""


class DlqSettings(_Section):
    """Where records go that cannot be tagged."""

    topic: Topic = "texts.dlq"
    max_ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The worker stops where more than this share of the last records were to be dead-lettered: a wrong text_path would
    else drain a whole topic into the dead letters. 1 is no limit."""
    window: Annotated[int, Field(ge=1)] = 1000
    """How many records that share is taken of."""


class CacheSettings(_Section):
    """Redis, where answers to repeats are kept."""

    url: SecretStr | None = None
    """redis://…, rediss://… or unix://…; without one there is no cache."""
    ttl_s: Annotated[int, Field(ge=1)] = 7 * 24 * 3600
    """Life of an entry; each is given up to a tenth less, so that entries written together do not expire together."""
    key: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Secret of the hash: without it, nobody who reads Redis can test which texts were seen. Same for all replicas."""
    timeout_ms: Annotated[int, Field(ge=1, le=1000)] = 150
    """Longest wait for one round trip with a step's keys: milliseconds where Redis is well."""


class ModelSettings(_Section):
    """What tags, and on what."""

    path: Path | None = None
    """The artifact's directory; without one the model that ships with emotag."""
    device: str = "auto"
    engine: Literal["auto", "openvino", "torch"] = "auto"
    """auto: measured on a CPU, once for a processor and a model, and remembered; torch on a GPU."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"


class BatchSettings(_Section):
    """How much one step takes on."""

    max_records: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Most records of one step and so of one transaction, where the latency objective would allow more."""
    max_bytes: Annotated[int, Field(ge=1)] = 16 * 1_048_576
    """Most bytes of one step's values, the last record's not counted: two steps are held in memory at a time."""


class AdminSettings(_Section):
    """The port for probes and metrics."""

    host: str = "0.0.0.0"  # nosec B104  # noqa: S104  (probes and Prometheus come from outside the container)
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 takes any free one, and logs it."""


class TracesSettings(_Section):
    """Where traces are sent, if anywhere."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/[^\s@]*)?$")] | None = None
    """An OTLP/HTTP receiver's address, http://collector:4318; without one there are no traces. This alone turns them
    on: OTEL_EXPORTER_OTLP_ENDPOINT, which platforms set in every pod, does not. Passwords have no place in it, but in
    OTEL_EXPORTER_OTLP_HEADERS."""


class LogSettings(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""


class Settings(BaseSettings):
    """All settings of the worker."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    kafka: KafkaSettings = KafkaSettings()
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    dlq: DlqSettings = DlqSettings()
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    cache: CacheSettings = CacheSettings()
    model: ModelSettings = ModelSettings()
    batch: BatchSettings = BatchSettings()
    admin: AdminSettings = AdminSettings()
    latency_slo_ms: Annotated[int, Field(ge=1)] = 1000
    """Longest time from a record's poll to its commit under load: a step takes on no more records than that allows.
    Larger steps cost fewer transactions. Half the drain budget counts where that is less: what is under way when the
    signal comes must be committed by then."""
    drain_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 25.0
    """Longest time from SIGTERM to exit. Below Kubernetes' terminationGracePeriodSeconds (30), or it kills first."""
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        # What is written would be read again, and each dead letter beget another for ever.
        topics = {"input.topic": self.input.topic, "output.topic": self.output.topic, "dlq.topic": self.dlq.topic}
        if len(set(topics.values())) < len(topics):
            raise ValueError(f"{', '.join(topics)} are to be three different topics")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load` passes the file's values as `_file`; pydantic-settings has no run-time path for its own TOML source.
        flags = dict(init_settings())
        file = flags.pop("_file", {})
        return InitSettingsSource(settings_cls, flags), env_settings, InitSettingsSource(settings_cls, file)


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings: *flags* over the environment over *file*.

    Args:
        file: a TOML file, its tables named as the sections.
        flags: nested as the settings are, `{"kafka": {"group_id": "g"}}`.

    Raises:
        SettingsProblem: one of them is unknown, missing or out of range; or the file cannot be read.
    """
    try:
        return Settings(**{"_file": _read(file), **(flags or {})})
    except ValidationError as error:
        # A property that is none of four types is four problems to pydantic, and one to its owner.
        problems = dict.fromkeys(_explain(problem) for problem in error.errors(include_input=False))
        raise SettingsProblem("; ".join(problems)) from None
    except SettingsError:  # the one setting that is no plain value
        raise SettingsProblem("kafka.properties (EMOTAG_KAFKA__PROPERTIES) takes a JSON object") from None


def parse_flags(flags: Sequence[str]) -> dict[str, Any]:
    """`section.field=value` lines to nested settings; `kafka.properties.a.b=value` sets the property `a.b`.

    Raises:
        SettingsProblem: one has no such form, or is within another that was given as one value.
    """
    nested: dict[str, Any] = {}
    for flag in flags:
        name, separator, value = flag.partition("=")
        if not separator or not name:
            # What was given is not repeated: it may hold a secret.
            raise SettingsProblem("--set takes NAME=VALUE, as in kafka.group_id=mine; one of them has no such form")
        section, _, field = name.partition(".")
        if name.startswith("kafka.properties."):
            properties = _table(_table(nested, "kafka", within=name), "properties", within=name)
            properties[name.removeprefix("kafka.properties.")] = value
        elif field:
            _table(nested, section, within=name)[field] = _json_object(name, value) if value.startswith("{") else value
        else:
            nested[section] = value
    return nested


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none, each with the nearest real name: mistyped, most likely.

    Only names with one of our nested prefixes, or near a real name, are reported: Kubernetes puts EMOTAG_SERVICE_HOST
    and its like into every pod beside a service called emotag.
    """
    real = list(variables())
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name.upper() not in real and not _is_property(name):
            near = difflib.get_close_matches(name, real, n=1, cutoff=0.8)
            if near or "__" in name:
                found.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def unkeyed_cache(settings: Settings) -> str | None:
    """What is to be said of a cache without a key; None where it has one, or there is none."""
    if settings.cache.url is None or settings.cache.key is not None:
        return None
    return "EMOTAG_CACHE__KEY is not set: whoever reads Redis can test whether a text that they guess was seen"


def variables() -> dict[str, tuple[str, Any]]:
    """{environment variable: (section.field, default)} of every setting."""
    found: dict[str, tuple[str, Any]] = {}
    for name, field in Settings.model_fields.items():
        section = field.default
        if isinstance(section, _Section):
            for inner in type(section).model_fields:
                found[f"{PREFIX}{name}__{inner}".upper()] = (f"{name}.{inner}", getattr(section, inner))
        else:
            found[f"{PREFIX}{name}".upper()] = (name, field.default)
    return found


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they are in force, secrets masked: safe to print and to log."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    for name in values["kafka"]["properties"]:
        if any(word in name.lower() for word in SECRET) and name not in PUBLIC:
            values["kafka"]["properties"][name] = MASK
    return values


def _table(nested: dict[str, Any], key: str, *, within: str) -> dict[str, Any]:
    found = nested.setdefault(key, {})
    if not isinstance(found, dict):
        raise SettingsProblem(f"--set {within}: {key} was already given as one value; give one or the other")
    return found


def _json_object(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise SettingsProblem(f"--set {name}: not a JSON object ({error.msg})") from None


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsProblem(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsProblem(f"{file}: not TOML: {error}") from error


def _is_property(name: str) -> bool:
    return name.upper().startswith(f"{PREFIX}KAFKA__PROPERTIES__")


def _explain(problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    if not path:
        return str(problem["msg"]).removeprefix("Value error, ")
    variable = PREFIX + "__".join(path[:2]).upper()
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(variable, variables(), n=1)
        return f"{'.'.join(path)} ({variable}) is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    if path[:2] == ["kafka", "properties"]:
        takes = "takes a JSON object"
        if path[2:]:
            takes = f"{path[2]} takes a string, a number, true or false; in TOML a name with dots in it has quotes"
        return f"kafka.properties ({variable}): {takes}"
    return f"{'.'.join(path)} ({variable}): {str(problem['msg']).removeprefix('Value error, ')}"


def environment() -> Mapping[str, str]:
    """The process's own environment, where the settings are."""
    return os.environ
