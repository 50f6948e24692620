"""Find settings that are allowed and expose secrets or results to the network."""

import re
from urllib.parse import parse_qsl

from .sections import Settings

LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|\[?::1\]?", re.IGNORECASE)
FALSE = ("false", "f", "0", "no", "none")

URL = re.compile(
    r"(?P<scheme>\w+)(?:\+\w+)?://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)[^?#]*(?:\?(?P<query>[^#]*))?"
)


def find_exposures(settings: Settings) -> list[str]:
    """Return a line for each setting that makes a connection unsafe: the setting, the danger and the remedy."""
    return [*_find_kafka(settings), *_find_redis(settings)]


def _find_kafka(settings: Settings) -> list[str]:
    given = {name: str(value).lower() for name, value in settings.kafka.properties.items()}
    protocol = given.get("security.protocol", "plaintext")
    lines = []
    if protocol.endswith("ssl"):
        if given.get("enable.ssl.certificate.verification", "true") in FALSE:
            lines.append(
                "enable.ssl.certificate.verification=false (EMOTAG_KAFKA__PROPERTIES): anyone between the worker and "
                "the brokers can read and change records; delete it, and set ssl.ca.location"
            )
        elif given.get("ssl.endpoint.identification.algorithm") == "none":
            lines.append(
                "ssl.endpoint.identification.algorithm=none (EMOTAG_KAFKA__PROPERTIES): any server with a certificate "
                "of the same authority can pose as a broker; delete it, and use the names in the certificates"
            )
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms"))
    if protocol == "sasl_plaintext" and mechanism == "plain" and not _are_loopback(settings.kafka.bootstrap_servers):
        lines.append(
            "security.protocol=SASL_PLAINTEXT with PLAIN (EMOTAG_KAFKA__PROPERTIES): the password travels unencrypted; "
            "use SASL_SSL"
        )
    return lines


def _find_redis(settings: Settings) -> list[str]:
    found = URL.match(settings.cache.url.get_secret_value()) if settings.cache.url is not None else None
    if found is None:
        return []
    options = {name.lower(): value.lower() for name, value in parse_qsl(found["query"] or "")}
    has_password = ":" in (found["user"] or "") or any(name.endswith("password") for name in options)
    match found["scheme"].lower():
        case "redis" if has_password and not _are_loopback(found["hosts"]):
            return [
                "EMOTAG_CACHE__URL has a password and begins with redis: the password travels unencrypted; "
                "use TLS, with rediss instead of redis"
            ]
        case "rediss" if options.get("ssl_cert_reqs") in FALSE or options.get("ssl_check_hostname") in FALSE:
            return [
                "EMOTAG_CACHE__URL does not verify the certificate of Redis: anyone between the worker and Redis can "
                "read the password; delete ssl_cert_reqs and ssl_check_hostname, and set ssl_ca_certs"
            ]
    return []


def _are_loopback(addresses: str) -> bool:
    """Return True if all addresses, with commas between them, are on this machine."""
    hosts = [re.sub(r"^\s*(\w+://)?(.*?)(:[0-9]+)?\s*$", r"\2", address) for address in addresses.split(",")]
    return all(LOOPBACK.fullmatch(host) for host in hosts)
