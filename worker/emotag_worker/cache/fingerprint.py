"""The cache key of a text: a keyed hash of the text as the model reads it."""

import hashlib

from emotag_model.tokens import normalize

DIGEST_BYTES = 16
"""128 bits: the probability that two of a billion texts collide is 1e-21."""


class Fingerprint:
    """Maps texts to cache keys.

    Args:
        model: identifies the model; other weights, another engine or another precision have other keys.
        secret: the secret of the hash. Without one, anyone who reads the cache can test whether a text was seen.
    """

    def __init__(self, *, model: str, secret: str = "") -> None:
        self._prefix = f"emotag:{model}:"
        # BLAKE2b limits its key to 64 bytes: hash the secret, so that a longer one counts in full.
        self._key = hashlib.blake2b(secret.encode()).digest() if secret else b""

    def __call__(self, text: str) -> str:
        """Return the cache key of a text; equal for texts that `normalize` makes equal."""
        raw = normalize(text).encode()
        return self._prefix + hashlib.blake2b(raw, digest_size=DIGEST_BYTES, key=self._key).hexdigest()
