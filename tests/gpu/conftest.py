"""Tests of a CUDA device; they need neither a broker nor a Kafka client.

On a machine with a GPU and little else: `python -m pytest --confcutdir tests/gpu tests/gpu`.
"""

from pathlib import Path

import pytest
import torch

from tests.integration.training.conftest import folder

__all__ = ["folder"]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device here"))
