"""Errors of the Redis client are explained without its message."""

import ssl
from collections.abc import Callable

import pytest
import redis
from redis.sentinel import MasterNotFoundError

from emotag_worker.cache.failures import explain_error


def wrap(cause: BaseException) -> redis.ConnectionError:
    """Return what redis-py raises for an error of TLS."""
    error = redis.ConnectionError("Error 1 connecting to hunter2")
    error.__cause__ = cause
    return error


def make_certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("make", "kind", "reason"),
    [
        (lambda: redis.TimeoutError("hunter2"), "TimeoutError", ""),
        (lambda: redis.ConnectionError("hunter2"), "ConnectionError", ""),
        (lambda: redis.AuthenticationError("hunter2"), "AuthenticationError", "EMOTAG_CACHE__URL"),
        (lambda: redis.exceptions.NoPermissionError("hunter2"), "NoPermissionError", "docs/security.md"),
        (lambda: redis.exceptions.MovedError("3999 127.0.0.1:6381"), "MovedError", "redis+cluster://"),
        (lambda: redis.exceptions.RedisClusterException("hunter2"), "RedisClusterException", "no cluster"),
        (lambda: MasterNotFoundError("hunter2"), "MasterNotFoundError", "no sentinel names"),
        (lambda: wrap(ssl.SSLError(1, "hunter2")), "SSLError", "TLS handshake failed"),
        (lambda: wrap(make_certificate_error()), "SSLCertVerificationError", "certificate has expired; check"),
    ],
)
def test_an_error_is_explained_without_the_clients_message(
    make: Callable[[], BaseException], kind: str, reason: str
) -> None:
    found_kind, found_reason = explain_error(make())
    assert kind == found_kind
    assert reason in found_reason
    assert bool(reason) == bool(found_reason)
    assert "hunter2" not in found_reason
