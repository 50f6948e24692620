"""Parse the URL of the cache: one server, a service of Sentinel, or a cluster."""

import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from redis.connection import parse_url

from emotag_worker.errors import SettingsError

MANY = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]+)"
    r"(?:/(?P<path>[^@?#]*))?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
"""The URL of several hosts: `redis+sentinel://user:password@a:26379,b:26379/service/0?option=1`."""

HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,5}))?")
SERVICE = re.compile(r"(?P<service>[^/]+)(?:/(?P<database>[0-9]+))?")

PORTS = {"sentinel": 26_379, "cluster": 6379}
"""The default ports of sentinels and of the nodes of a cluster."""

OF_SENTINELS = "sentinel_"
"""Options of the URL that begin with this are for the sentinels, for example `sentinel_password`."""


@dataclass(frozen=True)
class CacheAddress:
    """The parts of the cache's URL.

    Attributes:
        hosts: the sentinels, or nodes of the cluster; empty for one server.
        service: the name under which sentinels know the master.
        options: arguments of redis-py's connections.
        sentinel_options: those of the connections to sentinels.
    """

    kind: Literal["server", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]

    def __str__(self) -> str:
        """Return where the cache is, and the setting: without user, password and options."""
        if self.hosts:
            place = ",".join(_format_host(host, port) for host, port in self.hosts)
            place += f"/{self.service}" if self.service else ""
        else:
            host, port = self.options.get("host", "localhost"), self.options.get("port", 6379)
            place = str(self.options.get("path") or _format_host(host, port))
        return f"{place} (EMOTAG_CACHE__URL)"


def parse_address(url: str) -> CacheAddress:
    """Return the parts of the cache's URL.

    Raises:
        SettingsError: the URL has another form.
    """
    try:
        return _parse_many(url) if "+" in url.partition(":")[0] else _parse_one(url)
    except ValueError:  # redis-py's own message may contain the URL, and its password
        raise explain_address() from None


def explain_address() -> SettingsError:
    """Return the error for a URL that cannot be used. It does not contain the URL, which may contain a password."""
    return SettingsError(
        "cache.url (EMOTAG_CACHE__URL) cannot be this value: use redis://…, rediss://… or unix://…, "
        "redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/SERVICE (with TLS rediss+…), with "
        "special characters of the password percent-encoded, and only options of redis-py after a ?"
    )


def _parse_one(url: str) -> CacheAddress:
    scheme, _, path, query, fragment = urlsplit(url)
    # In redis://:12#34@host, the host would be localhost and the port 12: the beginning of the password.
    if scheme != "unix" and "@" in path + query.partition("=")[0] + fragment:
        raise ValueError
    return CacheAddress("server", (), "", _parse_options(url), {})


def _parse_many(url: str) -> CacheAddress:
    found = MANY.fullmatch(url)
    if found is None:
        raise ValueError
    kind: Literal["sentinel", "cluster"] = "sentinel" if found["kind"].lower() == "sentinel" else "cluster"
    hosts = tuple(_parse_host(each, PORTS[kind]) for each in found["hosts"].split(","))
    service, database = _parse_path(kind, found["path"] or "")
    # redis-py parses user, password and options, as for one server.
    user, query = found["user"], found["query"]
    options = _parse_options(
        f"{found['scheme'].lower()}://{f'{user}@' if user else ''}host/{database}{f'?{query}' if query else ''}"
    )
    del options["host"]
    for_sentinels = {name: options.pop(name) for name in list(options) if name.startswith(OF_SENTINELS)}
    if for_sentinels and kind != "sentinel":
        raise ValueError
    stripped = {name.removeprefix(OF_SENTINELS): value for name, value in for_sentinels.items()}
    shared = {name: value for name, value in options.items() if name.startswith("ssl_") or name == "connection_class"}
    return CacheAddress(kind, hosts, service, options, {**shared, **stripped} if kind == "sentinel" else {})


def _parse_options(url: str) -> dict[str, Any]:
    parsed: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return parsed


def _parse_path(kind: str, path: str) -> tuple[str, str]:
    """Return the service and the database. A cluster has neither."""
    if kind == "cluster":
        if path not in ("", "0"):
            raise ValueError
        return "", ""
    found = SERVICE.fullmatch(path)
    if found is None:
        raise ValueError
    return unquote(found["service"]), found["database"] or "0"


def _parse_host(text: str, port: int) -> tuple[str, int]:
    found = HOST.fullmatch(text)
    if found is None:
        raise ValueError
    return found["host"].strip("[]"), int(found["port"] or port)


def _format_host(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
