"""The cache's URL: which servers it names, which options it has, and what a wrong one reveals."""

from typing import Any

import pytest
from redis.connection import SSLConnection

from emotag_worker.cache.address import parse_address
from emotag_worker.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://emotag:hunter2@cache:6380/0?ssl_password=hunter2", "cache:6380"),
        ("redis://:hunter2@cache", "cache:6379"),
        ("redis://:hunter2@[::1]:1", "[::1]:1"),
        ("unix:///run/redis.sock?password=hunter2", "/run/redis.sock"),
        ("redis+cluster://u:hunter2@a,b:7000,[::1]:7001?password=hunter2", "a:6379,b:7000,[::1]:7001"),
        ("rediss+sentinel://u:hunter2@s1,s2:1/my%20master/2?sentinel_password=hunter2", "s1:26379,s2:1/my master"),
    ],
)
def test_the_address_has_no_password(url: str, place: str) -> None:
    assert f"{place} (EMOTAG_CACHE__URL)" == str(parse_address(url))


@pytest.mark.parametrize(
    ("url", "kind", "options", "of_sentinels"),
    [
        ("redis://c/3", "server", {"host": "c", "db": 3}, {}),
        ("redis+cluster://:p%40ss@c", "cluster", {"password": "p@ss"}, {}),
        ("redis+cluster://c/0?max_connections=3", "cluster", {"max_connections": 3}, {}),
        ("redis+sentinel://u:p@s/m", "sentinel", {"username": "u", "password": "p", "db": 0}, {}),
        (
            "rediss+sentinel://s/m/2?sentinel_password=q&ssl_ca_certs=ca.pem",
            "sentinel",
            {"db": 2, "ssl_ca_certs": "ca.pem", "connection_class": SSLConnection},
            {"password": "q", "ssl_ca_certs": "ca.pem", "connection_class": SSLConnection},
        ),
    ],
)
def test_user_password_database_and_options_are_those_of_redis_py(
    url: str, kind: str, options: dict[str, Any], of_sentinels: dict[str, Any]
) -> None:
    """Sentinels have their own password, and the certificate authority of the master."""
    address = parse_address(url)
    assert (kind, options, of_sentinels) == (address.kind, address.options, address.sentinel_options)


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@cache",
        "http+cluster://:hunter2@cache",
        "redis://:hunter2@cache:port",
        "redis://:1#hunter2@cache",
        "redis://:1/hunter2@cache",
        "redis://:1?hunter2@cache",
        "redis://[hunter2",
        "redis+cluster://:1#hunter2@cache",
        "redis+cluster://:1/hunter2@cache",
        "redis+cluster://:hunter2@",
        "redis+cluster://:hunter2@a,,b",
        "redis+cluster://:hunter2@a:port",
        "redis+cluster://:hunter2@a/1",
        "redis+cluster://a?sentinel_password=hunter2",
        "redis+sentinel://:hunter2@a",
        "redis+sentinel://:hunter2@a/service/database",
        "redis+ring://:hunter2@a",
    ],
)
def test_a_url_of_another_form_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^cache.url \(EMOTAG_CACHE__URL\) cannot be this value: ") as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)
