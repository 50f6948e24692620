"""The models of the numeric tests, for unit tests."""

from tests.numerics.conftest import shipped, tagger, tiny_artifact

__all__ = ["shipped", "tagger", "tiny_artifact"]
