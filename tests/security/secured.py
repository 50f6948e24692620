"""One Kafka node that asks who is there: SCRAM on TLS, mutual TLS, and ACLs for both."""

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

from tests.conftest import QUIET, Topics
from worker.local import LocalKafka
from worker.local.server import free_ports

from .certificates import Authority, Certificate

SCRAM, MUTUAL, EXPIRED = "SCRAM", "MUTUAL", "EXPIRED"
"""Its secured listeners: SASL/SCRAM-SHA-512 on TLS, mutual TLS, and the first with a certificate of last year."""


class SecuredKafka(LocalKafka):
    """A broker with a plain listener for the tests themselves, whose user may do all, and secured ones beside it.

    Args:
        authority: signs the broker's certificates, and those of clients that it lets in.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._authority = authority
        self._good = authority.sign("broker", "127.0.0.1")  # and not localhost
        self._expired = authority.sign("broker-expired", "127.0.0.1", expired=True)
        super().__init__(folder, {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"})
        self._take_ports()

    def at(self, listener: str) -> str:
        """Where clients of a secured listener connect."""
        return f"127.0.0.1:{self._ports[listener]}"

    def move(self) -> None:
        super().move()
        self._take_ports()

    def _take_ports(self) -> None:
        self._ports = dict(zip((SCRAM, MUTUAL, EXPIRED), free_ports(3), strict=True))

    def _all_properties(self) -> dict[str, str]:
        plain = super()._all_properties()
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
        """The broker's own certificate on a listener, and whose clients' it trusts there."""
        prefix = f"listener.name.{listener.lower()}.ssl"
        return {
            f"{prefix}.keystore.type": "PEM",
            f"{prefix}.keystore.location": str(certificate.both),
            f"{prefix}.truststore.type": "PEM",
            f"{prefix}.truststore.location": str(self._authority.pem),
        }


def add_user(admin: AdminClient, name: str, password: str) -> None:
    """Somebody who may log in with SCRAM-SHA-512, and do nothing yet."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    upsertion = UserScramCredentialUpsertion(name, info, password.encode())
    for future in admin.alter_user_scram_credentials([upsertion]).values():
        future.result()


def acls(user: str, topics: Topics) -> dict[str, AclBinding]:
    """What docs/security.md says that a worker needs to be allowed, by what it needs it for."""
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
    """What docs/security.md says that `emotag dlq` and `emotag lag` need to be allowed besides."""
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
    """Allow a user what a worker needs, but for one thing where it is named."""
    bindings = [binding for need, binding in acls(user, topics).items() if need != but]
    for future in admin.create_acls(bindings).values():
        future.result()


def administrator(kafka: LocalKafka) -> AdminClient:
    """A client on the plain listener."""
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers}, logger=QUIET)
