"""Log output of a worker: one event per line on stderr, as timestamp, level, event and the event's fields.

Lines of libraries, for example librdkafka, have the same form, and end with the name of their logger.
"""

import logging
import sys
import time
from typing import Any

import structlog

from emotag_worker.settings import LogSettings

CLIENT_LOG = "librdkafka"
"""The logger of the Kafka clients, which would otherwise write to stderr themselves."""

CLIENT_LINES_S = 10.0
"""Shortest time between two client lines of the same kind. Unreachable brokers cause about twenty lines a second."""

CONNECTION_FAILED = "FAIL"
"""The clients' lines about failed connections. `broker_error_seen` reports the same, with the remedy."""


def configure_logging(settings: LogSettings, *, process: int | None = None) -> None:
    """Send all log lines to stderr: as JSON, or as readable text on a terminal.

    Args:
        process: the number of this worker among those of one supervisor, for each line; None without a supervisor.
    """

    def add_process(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return event if process is None else {"process": process, **event}

    shared: list[Any] = [
        add_process,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _order_keys,
            structlog.dev.ConsoleRenderer(sort_keys=False) if console else structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    # Below warnings, the clients log every attempt to connect.
    client, debug = logging.getLogger(CLIENT_LOG), settings.level == "debug"
    client.setLevel(logging.DEBUG if debug else logging.WARNING)
    client.filters = [] if debug else [RateLimit()]


def _order_keys(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put the keys that every line has first; structlog appends them."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return first | dict(event)


class RateLimit(logging.Filter):
    """A filter that passes one client line of each kind every `CLIENT_LINES_S` seconds, and no `CONNECTION_FAILED`."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # A kind is librdkafka's facility, the client and the level: a more severe line passes at once.
        kind = (record.levelno, record.args[:2] if record.args and isinstance(record.args, tuple) else record.msg)
        if kind[1][0] == CONNECTION_FAILED:
            return False
        now = time.monotonic()
        if now - self._passed_at.get(kind, -CLIENT_LINES_S) < CLIENT_LINES_S:
            return False
        self._passed_at[kind] = now
        return True
