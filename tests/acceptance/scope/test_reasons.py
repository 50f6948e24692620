"""The reasons of emotions on a real stream: the same computed and from the cache, and never a text."""

import pytest

from emotag_schemas import EmotionResult
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Reader, send, text

LONG = "The meeting was moved from Monday to Tuesday afternoon, at the same place. " * 10 + "😀  Thank you so much!"
TEXTS = {
    "short": "😀 Thank you so much!",
    "wide": "  😀  Thank you\nso   much! ",
    "noisy": "I h4te this, it is awful",
    "long": LONG,
}
"""The first two have the same entry in the cache."""


@pytest.mark.timeout(240)
def test_reasons_are_the_same_computed_and_from_the_cache(
    bootstrap_servers: str, shared_cache: dict[str, str], topics: Topics, start_worker: StartWorker
) -> None:
    """Workers with and without reasons share a Redis, and neither takes the entries of the other."""
    reader = Reader(bootstrap_servers, topics)
    found: list[dict[str, EmotionResult]] = []
    for number, reasons in enumerate(("false", "true", "true")):
        send(bootstrap_servers, topics.input, [text(words, id=f"{number} {name}") for name, words in TEXTS.items()])
        worker = start_worker({**shared_cache, "EMOTAG_OUTPUT__REASONS": reasons})
        read = reader.until(len(TEXTS) * (number + 1), timeout_s=60)
        worker.stop()
        results = {result.id: result for result in read.parsed().values()}
        found.append({name: results[f"{number} {name}"] for name in TEXTS})
    reader.close()
    plain, computed, cached = found
    assert [False, False, True] == [results["noisy"].cached for results in found]
    assert not read.dead
    for name, words in TEXTS.items():
        assert computed[name].emotions == cached[name].emotions
        assert all(emotion.reasons is None for emotion in plain[name].emotions)
        scores = [(emotion.label, emotion.score) for emotion in plain[name].emotions]
        assert scores == [(emotion.label, emotion.score) for emotion in computed[name].emotions]
        for emotion in computed[name].emotions:
            assert emotion.reasons is not None
            assert all(0 <= reason.start < reason.end <= len(words) for reason in emotion.reasons)
    for name, expected in {
        "short": "Thank you so much",
        "wide": "Thank you\nso   much",
        "long": "Thank you so",
    }.items():
        (gratitude,) = (emotion for emotion in computed[name].emotions if emotion.label == "gratitude")
        assert gratitude.reasons
        assert expected in TEXTS[name][gratitude.reasons[0].start : gratitude.reasons[0].end]
