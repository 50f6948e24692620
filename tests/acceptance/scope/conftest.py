"""Workers with one cache."""

import uuid

import pytest

from tests.conftest import Topics


@pytest.fixture
def shared_cache(bootstrap_servers: str, redis_url: str, topics: Topics) -> dict[str, str]:
    """The environment of workers that share cache entries with each other, and with no other test."""
    return {
        **topics.environment(bootstrap_servers),
        "EMOTAG_CACHE__URL": redis_url,
        "EMOTAG_CACHE__HASH_SECRET": uuid.uuid4().hex,
        "EMOTAG_CACHE__TIMEOUT_MS": "1000",
    }
