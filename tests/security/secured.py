"""One Kafka node with authentication: SCRAM over TLS, mutual TLS, and ACLs for both."""

from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from emotag_worker.local import LocalKafka
from emotag_worker.local.server import find_free_ports
from tests.conftest import QUIET, Topics

from .certificates import Authority, Certificate

SCRAM, MUTUAL, EXPIRED = "SCRAM", "MUTUAL", "EXPIRED"
"""Its secured listeners: SASL/SCRAM-SHA-512 over TLS, mutual TLS, and the first one with an expired certificate."""


class SecuredKafka(LocalKafka):
    """A broker with secured listeners, and a plain one for the tests, whose user may do everything.

    Args:
        authority: signs the certificates of the broker and of its clients.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._authority = authority
        self._good = authority.sign("broker", "127.0.0.1")  # not localhost
        self._expired = authority.sign("broker-expired", "127.0.0.1", expired=True)
        super().__init__(folder, {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"})
        self._take_ports()

    def at(self, listener: str) -> str:
        """Return the address of a secured listener."""
        return f"127.0.0.1:{self._ports[listener]}"

    def move(self) -> None:
        super().move()
        self._take_ports()

    def _take_ports(self) -> None:
        # The ports of the plain listeners are still free, so the system may offer them again.
        plain = {self._port, self.controller_port}
        free = [port for port in find_free_ports(3 + len(plain)) if port not in plain]
        self._ports = dict(zip((SCRAM, MUTUAL, EXPIRED), free[:3], strict=True))

    def _build_properties(self) -> dict[str, str]:
        plain = super()._build_properties()
        listeners = [f"{name}://{self.at(name)}" for name in self._ports]
        protocols = f"{SCRAM}:SASL_SSL,{MUTUAL}:SSL,{EXPIRED}:SASL_SSL"
        return {
            **plain,
            "listeners": ",".join([plain["listeners"], *listeners]),
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},{protocols}",
            "inter.broker.listener.name": "PLAINTEXT",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            **self._tls(SCRAM, self._good),
            **self._tls(MUTUAL, self._good),
            **self._tls(EXPIRED, self._expired),
            f"listener.name.{MUTUAL.lower()}.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": r"RULE:^.*CN=([a-z-]+).*$/$1/,DEFAULT",
            **{
                f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
                for name in (SCRAM, EXPIRED)
            },
        }

    def _tls(self, listener: str, certificate: Certificate) -> dict[str, str]:
        """Return the TLS properties of a listener: the broker's certificate, and the authority of its clients."""
        prefix = f"listener.name.{listener.lower()}.ssl"
        return {
            f"{prefix}.keystore.type": "PEM",
            f"{prefix}.keystore.location": str(certificate.both),
            f"{prefix}.truststore.type": "PEM",
            f"{prefix}.truststore.location": str(self._authority.pem),
        }


def add_user(admin: AdminClient, name: str, password: str) -> None:
    """Add a user who can log in with SCRAM-SHA-512, without any permission."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    upsertion = UserScramCredentialUpsertion(name, info, password.encode())
    for future in admin.alter_user_scram_credentials([upsertion]).values():
        future.result()


def acls(user: str, topics: Topics) -> dict[str, AclBinding]:
    """Return the ACLs of a worker from docs/security.md, by their purpose."""
    literal, prefixed = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    read, write = AclOperation.READ, AclOperation.WRITE
    wanted = {
        "input": (ResourceType.TOPIC, topics.input, literal, read),
        "output": (ResourceType.TOPIC, topics.output, literal, write),
        "dead letters": (ResourceType.TOPIC, topics.dlq, literal, write),
        "group": (ResourceType.GROUP, topics.group, literal, read),
        "transactions": (ResourceType.TRANSACTIONAL_ID, f"{topics.group}-", prefixed, write),
    }
    return {
        need: AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for need, (kind, name, pattern, operation) in wanted.items()
    }


def operator_acls(user: str, topics: Topics) -> list[AclBinding]:
    """Return the additional ACLs of `emotag dlq` and `emotag lag` from docs/security.md."""
    wanted = [
        (ResourceType.TOPIC, topics.dlq, AclOperation.READ),
        (ResourceType.TOPIC, topics.input, AclOperation.WRITE),
        (ResourceType.GROUP, f"{topics.group}-dlq-replay", AclOperation.READ),
    ]
    return [
        AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for kind, name, operation in wanted
    ]


def allow(admin: AdminClient, user: str, topics: Topics, *, but: str = "") -> None:
    """Give a user the ACLs of a worker, except the one that is named, if any."""
    bindings = [binding for need, binding in acls(user, topics).items() if need != but]
    for future in admin.create_acls(bindings).values():
        future.result()


def administrator(kafka: LocalKafka) -> AdminClient:
    """Return a client of the plain listener."""
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers}, logger=QUIET)
