"""Certificates for one run of the tests, as PEM files for clients and servers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key.

    Attributes:
        chain, key: in separate files.
        both: key and certificate in one file, like a PEM keystore of Kafka.
    """

    chain: Path
    key: Path
    both: Path


class Authority:
    """A certificate authority.

    Args:
        folder: contains its files, and those of the certificates that it signs.

    Attributes:
        pem: its own certificate, for clients and servers that trust it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.pem = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.pem))

    def sign(
        self, name: str, *hosts: str, common_name: str | None = None, expired: bool = False, password: str | None = None
    ) -> Certificate:
        """Sign a certificate for *hosts*; at least one, because Java rejects a certificate without hosts.

        Args:
            name: of its files.
            expired: it was valid until a year ago.
            password: its key is encrypted with it.
        """
        now = datetime.now(UTC)
        made = self._authority.issue_cert(
            *hosts,
            common_name=common_name,
            not_before=now - 2 * YEAR if expired else None,
            not_after=now - YEAR if expired else None,
        )
        lock: KeySerializationEncryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        # Kafka reads only keys in PKCS #8, so they are converted.
        key = load_pem_private_key(made.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, lock
        )
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        signed = Certificate(*(self._folder / f"{name}.{end}" for end in ("crt", "key", "pem")))
        signed.chain.write_bytes(chain)
        signed.key.write_bytes(key)
        signed.both.write_bytes(key + chain)
        return signed
