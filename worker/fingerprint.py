"""What tells a repeat from a new text: a keyed hash of the text as the model reads it."""

import hashlib

from model.tokens import normalise

DIGEST_BYTES = 16
"""128 bits: a billion texts meet by chance with probability 1e-21."""


class Fingerprint:
    """Texts to cache keys.

    Args:
        model: whose answers they are; other weights or another precision have keys of their own.
        key: the secret of the hash. Without it, who reads the cache could test which texts were seen.
    """

    def __init__(self, *, model: str, key: str = "") -> None:
        self._prefix = f"emotag:{model}:"
        # BLAKE2b takes keys up to 64 bytes; longer ones count in full this way.
        self._key = hashlib.blake2b(key.encode()).digest() if key else b""

    def __call__(self, text: str) -> str:
        """The cache key of *text*; equal for texts the model cannot tell apart by their blanks."""
        raw = normalise(text).encode()
        return self._prefix + hashlib.blake2b(raw, digest_size=DIGEST_BYTES, key=self._key).hexdigest()
