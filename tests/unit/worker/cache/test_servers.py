"""Commands as bytes, and options that are read before the first connection."""

import pytest

from emotag_worker.cache.address import parse_address
from emotag_worker.cache.servers import Cluster, OneServer, _pack, _pack_writes, create_servers
from emotag_worker.errors import SettingsError


def test_commands_have_the_form_of_the_protocol() -> None:
    assert b"*2\r\n$3\r\nGET\r\n$3\r\n\xc3\xa4b\r\n" == _pack(b"GET", "äb".encode())
    assert [b"*5\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$4\r\na\r\nb\r\n$2\r\nPX\r\n$4\r\n1500\r\n"] == _pack_writes(
        {"ä": (b"a\r\nb", 1500)}
    )


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://:%23%2F%40@cache", OneServer),
        ("redis://cache/0?password=a@b", OneServer),
        ("unix:///run/@redis.sock?db=1", OneServer),
        ("rediss://u:p@cache", OneServer),
        ("redis+sentinel://u:p@one,two/service/0", OneServer),
        ("rediss+sentinel://one/service?sentinel_username=u&ssl_ca_certs=ca.pem", OneServer),
        ("redis+cluster://u:p@one,two", Cluster),
        ("rediss+cluster://one?ssl_ca_certs=ca.pem", Cluster),
    ],
)
def test_no_server_is_needed_to_read_a_url(url: str, kind: type) -> None:
    servers = create_servers(parse_address(url), 0.1)
    assert isinstance(servers, kind)
    servers.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache?hunter2=1",
        "redis://cache?socket_timeout=hunter2",
        "rediss://cache?ssl_cert_reqs=hunter2",
        "redis+cluster://cache?hunter2=1",
        "redis+sentinel://cache/service?hunter2=1",
        "redis+sentinel://cache/service?sentinel_hunter2=1",
    ],
)
def test_an_option_that_redis_py_does_not_have_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^cache.url \(EMOTAG_CACHE__URL\) cannot be this value: ") as caught:
        create_servers(parse_address(url), 0.1)
    assert "hunter2" not in str(caught.value)
