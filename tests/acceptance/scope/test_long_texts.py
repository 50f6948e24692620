"""A text that is longer than the model's window, on a real stream: one result, with the emotions of its parts."""

import pytest

from emotag_schemas import EmotionResult
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Reader, send, text

NEUTRAL = "The meeting was moved from Monday to Tuesday afternoon, at the same place. " * 10
LONG = f"{NEUTRAL}Thank you so much, I am really grateful! 😀"
WIDE = f"  {LONG.replace('. ', '.  ')}"
"""The same text with other blanks, so it has the same entry in the cache."""
TEXTS = {"short": "Thank you so much!", "long": LONG, "wide": WIDE}


def judge(result: EmotionResult) -> tuple[object, ...]:
    """Return the fields that the cache must not change."""
    return result.emotions, result.parts, result.truncated, result.scope, result.language, result.scores


@pytest.mark.timeout(240)
def test_a_long_text_has_one_result_with_parts_the_same_computed_or_from_the_cache(
    bootstrap_servers: str, shared_cache: dict[str, str], topics: Topics, start_worker: StartWorker
) -> None:
    """Workers that read long texts in different ways share a Redis, and neither takes the entries of the other."""
    environment = {
        **shared_cache,
        "EMOTAG_OUTPUT__ALL_SCORES": "true",
    }
    reader = Reader(bootstrap_servers, topics)
    found: list[dict[str, EmotionResult]] = []
    for number, mode in enumerate(("windows", "windows", "first")):
        send(bootstrap_servers, topics.input, [text(words, id=f"{number} {name}") for name, words in TEXTS.items()])
        worker = start_worker({**environment, "EMOTAG_INPUT__LONG_TEXTS": mode})
        read = reader.until(3 * (number + 1), timeout_s=60)
        worker.stop()
        results = {result.id: result for result in read.parsed().values()}
        found.append({name: results[f"{number} {name}"] for name in TEXTS})
    reader.close()
    computed, cached, beginning = found
    # The first worker may read the wide text in another batch than the long one, and then takes it from the cache.
    assert [False, True, False] == [results["long"].cached and results["wide"].cached for results in found]
    assert not read.dead
    for name in TEXTS:
        assert judge(computed[name]) == judge(cached[name])
    assert judge(computed["short"]) == judge(beginning["short"])
    assert computed["short"].parts is None
    for name in ("long", "wide"):
        result = computed[name]
        assert not result.truncated
        assert "gratitude" in [emotion.label for emotion in result.emotions]
        assert result.parts is not None
        first, *_, last = (TEXTS[name][part.start : part.end] for part in result.parts)
        assert first.startswith("The meeting")
        assert last.endswith("grateful! 😀")
        assert "gratitude" not in [emotion.label for emotion in result.parts[0].emotions]
        assert (True, None) == (beginning[name].truncated, beginning[name].parts)
    assert computed["long"].emotions == computed["wide"].emotions
