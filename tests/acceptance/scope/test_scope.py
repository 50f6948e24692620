"""Texts that the model cannot judge, on a real stream: marked, without emotions, or dead letters."""

import pytest

from emotag_schemas import EmotionResult
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Reader, header_map, send, text

SCOPES = {
    "Thank you so much for your help!": ("ok", "en"),
    "Te odio, eres lo peor que me ha pasado": ("other_language", "es"),
    "😡😡😡": ("ok", None),
    "♪♫♪": ("unreadable", None),
    "10/10": ("too_short", None),
}
SECRET = "odio"


def judge(result: EmotionResult) -> tuple[object, ...]:
    """Return the fields that the cache must not change."""
    return result.scope, result.language, result.emotions, result.sentiment, result.ekman, result.scores


@pytest.mark.timeout(240)
def test_a_text_out_of_scope_is_marked_hidden_or_dead_lettered_computed_or_from_the_cache(
    bootstrap_servers: str, shared_cache: dict[str, str], topics: Topics, start_worker: StartWorker
) -> None:
    """Three workers with three settings share a cache, whose entries are those of the first."""
    environment = {
        **shared_cache,
        "EMOTAG_OUTPUT__ALL_SCORES": "true",
        "EMOTAG_DLQ__STOP_AFTER": "1",
    }
    reader = Reader(bootstrap_servers, topics)
    found: dict[str, dict[str, EmotionResult]] = {}
    answered = 0
    for action in ("tag", "tag", "empty", "dead_letter"):
        round_ = f"{action} {answered}"
        send(bootstrap_servers, topics.input, [text(words, id=f"{round_} {words}") for words in SCOPES])
        worker = start_worker({**environment, "EMOTAG_OUTPUT__OUT_OF_SCOPE": action})
        answered += len(SCOPES)
        read = reader.until(answered, timeout_s=60)
        worker.stop()
        assert answered == sum(read.times().values())
        results = [result for result in read.parsed().values() if result.id.startswith(round_)]
        found[round_] = {result.id.removeprefix(f"{round_} "): result for result in results}
    reader.close()
    computed, cached, empty, rest = found.values()
    assert {words: (result.scope, result.language) for words, result in computed.items()} == SCOPES
    assert [False] * 5 == [result.cached for result in computed.values()]
    assert [True] * 12 == [result.cached for results in (cached, empty, rest) for result in results.values()]
    for words, (scope, language) in SCOPES.items():
        assert judge(cached[words]) == judge(computed[words])
        if scope == "ok":
            assert judge(computed[words]) == judge(empty[words]) == judge(rest[words])
        else:
            assert computed[words].emotions
            hidden = empty[words]
            assert (scope, language, (), "neutral", ()) == judge(hidden)[:5]
            assert hidden.scores == computed[words].scores
    letters = [header_map(message) for (message,) in read.dead.values()]
    assert {"OutOfScope"} == {letter["__connect.errors.exception.class.name"] for letter in letters}
    messages = "\n".join(letter["__connect.errors.exception.message"] for letter in letters)
    assert 3 == len(letters)
    assert "scope other_language, language es" in messages
    assert SECRET not in messages + worker.read_log_tail()
