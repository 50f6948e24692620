"""Explain errors of the Redis client."""

import ssl

import redis

CREDENTIALS = "Redis rejected the user or password; correct EMOTAG_CACHE__URL"
CERTIFICATE = "check ssl_ca_certs in EMOTAG_CACHE__URL, and that the certificate is valid for this host"
HANDSHAKE = "TLS handshake failed; check that both sides use TLS, and the ssl_ options of EMOTAG_CACHE__URL"
ADDRESS = "check that Redis is running at this address, and EMOTAG_CACHE__URL"
PERMISSIONS = "the ACL of Redis denies the user a command; docs/security.md lists the required permissions"
NOT_A_CLUSTER = "the nodes are no cluster, or do not answer; check them, and EMOTAG_CACHE__URL"
NO_MASTER = "no sentinel names a reachable master of this service; check the sentinels, and EMOTAG_CACHE__URL"
ONE_OF_A_CLUSTER = "this server belongs to a cluster; write EMOTAG_CACHE__URL as redis+cluster://…"


def explain_error(error: BaseException) -> tuple[str, str]:
    """Return the kind of an error, and its cause and fix as far as they are known; else an empty string.

    The client's own message is left out: it may contain the URL, and with it the password.
    """
    cause: BaseException | None = error
    while cause is not None:  # the client wraps TLS errors in a ConnectionError
        if isinstance(cause, ssl.SSLCertVerificationError):
            return type(cause).__name__, f"{cause.verify_message}; {CERTIFICATE}"
        if isinstance(cause, ssl.SSLError):
            return type(cause).__name__, HANDSHAKE
        if isinstance(cause, OSError) and cause.strerror:
            return type(error).__name__, f"{cause.strerror.lower()}; {ADDRESS}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__, _find_remedy(error)


def _find_remedy(error: BaseException) -> str:
    match error:
        case redis.AuthenticationError():
            return CREDENTIALS
        case redis.exceptions.NoPermissionError():
            return PERMISSIONS
        case redis.exceptions.MovedError() | redis.exceptions.ClusterCrossSlotError():
            return ONE_OF_A_CLUSTER
        case redis.exceptions.RedisClusterException():
            return NOT_A_CLUSTER
        case redis.sentinel.MasterNotFoundError():
            return NO_MASTER
    return ""
