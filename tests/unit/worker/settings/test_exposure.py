"""Settings that expose secrets to the network have a warning; safe ones have none."""

import pytest

from emotag_worker.settings import find_exposures, loader

SSL = {"security.protocol": "SASL_SSL"}


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("redis://:hunter2@cache", "unencrypted"),
        ("redis://u:hunter2@10.0.0.1:6379/0", "unencrypted"),
        ("redis://cache?password=hunter2", "unencrypted"),
        ("redis+cluster://:hunter2@127.0.0.1,cache", "unencrypted"),
        ("redis+sentinel://s/m?sentinel_password=hunter2", "unencrypted"),
        ("rediss://:hunter2@cache?ssl_cert_reqs=none", "does not verify"),
        ("rediss+cluster://:hunter2@cache?ssl_check_hostname=False", "does not verify"),
        ("redis://cache", ""),
        ("redis://user@cache", ""),
        ("redis://:hunter2@localhost:6379", ""),
        ("redis://:hunter2@127.0.0.1", ""),
        ("redis+cluster://:hunter2@[::1]:1,127.0.0.1:2", ""),
        ("rediss://:hunter2@cache?ssl_ca_certs=ca.pem", ""),
        ("unix:///run/redis.sock?password=hunter2", ""),
        ("no url", ""),
    ],
)
def test_a_password_needs_tls_and_tls_a_certificate(url: str, part: str) -> None:
    lines = find_exposures(loader.load(flags={"cache": {"url": url}}))
    assert bool(part) == bool(lines)
    assert part in "".join(lines)
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize(
    ("properties", "part"),
    [
        ({**SSL, "enable.ssl.certificate.verification": False}, "enable.ssl.certificate.verification=false"),
        ({**SSL, "enable.ssl.certificate.verification": "false"}, "enable.ssl.certificate.verification=false"),
        ({"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"}, "pose as a broker"),
        ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}, "unencrypted"),
        ({"enable.ssl.certificate.verification": False}, ""),
        ({**SSL, "enable.ssl.certificate.verification": True, "sasl.mechanism": "PLAIN"}, ""),
        ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}, ""),
        ({}, ""),
    ],
)
def test_brokers_are_verified_and_passwords_encrypted(properties: dict[str, object], part: str) -> None:
    flags = {"kafka": {"properties": properties, "bootstrap_servers": "SASL_PLAINTEXT://kafka:9092,localhost:1"}}
    lines = find_exposures(loader.load(flags=flags))
    assert bool(part) == bool(lines)
    assert part in "".join(lines)


def test_a_broker_on_this_machine_may_get_a_password_without_tls() -> None:
    properties = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    flags = {"kafka": {"properties": properties, "bootstrap_servers": "localhost:9092,[::1]:1"}}
    assert [] == find_exposures(loader.load(flags=flags))
