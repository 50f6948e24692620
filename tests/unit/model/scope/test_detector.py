"""The detector: one answer for one text, and no network."""

import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotag_model.errors import ArtifactError
from emotag_model.scope.detector import FILE, MOST_CHARACTERS, Detector, list_words
from emotag_model.scope.languages import LANGUAGES
from emotag_model.scope.rules import EMOJI_ALONE, LEAST_SCORE, NO_WORDS, UNDETERMINED
from emotag_worker.local.demo_records import read_sample_texts

DETECTOR = Detector()
SPANISH = "Te odio, eres lo peor"


@pytest.mark.parametrize(
    ("text", "language"), [(SPANISH, "es"), ("Ich hasse dich", "de"), ("I hate you", "en"), ("나는 네가 싫어", "ko")]
)
def test_a_sentence_has_a_language(text: str, language: str) -> None:
    assert language == DETECTOR.detect(text).language


@pytest.mark.parametrize(
    "text",
    [
        # fastText is sure of another language for each of these texts.
        *("Thanks so much!", "I wanna die", "I’m so nervous!", "I ❤️ NY", "THANKS SO MUCH!!!", "Thanks \n so much"),
        # For these texts, it is not sure of any.
        *("I hate you", "Thank you!", "lol"),
    ],
)
def test_common_english_words_are_certainly_english(text: str) -> None:
    found = DETECTOR.detect(text)
    assert "en" == found.language
    assert found.score >= LEAST_SCORE


@pytest.mark.parametrize(
    ("languages", "found"), [(["en"], "en"), (["ko", "en"], "en"), (["ko"], "en"), (["en", "es"], "es"), (["es"], "es")]
)
def test_english_words_do_not_overrule_a_language_of_the_model(languages: list[str], found: str) -> None:
    """fastText is sure of Spanish."""
    assert found == Detector(languages).detect("Thanks so much!").language


def test_english_words_decide_a_doubt_only_for_a_model_of_english() -> None:
    """ "no me" can be Spanish, too."""
    assert [True, False] == [Detector([language]).detect("no me").score >= LEAST_SCORE for language in ("en", "es")]


@pytest.mark.parametrize(
    ("text", "language"), [("Das war super", "de"), ("No me gusta", "es"), ("non è no", "it"), ("non e\u0300 no", "it")]
)
def test_one_other_word_is_enough_for_another_language(text: str, language: str) -> None:
    assert language == DETECTOR.detect(text).language


def test_words_have_no_digits_and_plain_apostrophes() -> None:
    assert ["don't", "h", "te", "ünï", "l'été", "said"] == list_words("Don’t h4te 10/10 ÜNÏ_l'été 'said'")


@pytest.mark.parametrize("text", ["", "   ", "10/10", "1️⃣", "© 2024", "♪", "!?", "\x00", "\ud800"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert NO_WORDS == DETECTOR.detect(text)


@pytest.mark.parametrize("text", ["😂😂", "10/10 😂", "❤️", ":) ❤️", "🍕", ":)", "o_O", "xDDD"])
def test_emoji_and_emoticons_without_words_are_found(text: str) -> None:
    assert EMOJI_ALONE == DETECTOR.detect(text)


@pytest.mark.parametrize("text", ["I hate you😡", "😡I hate you", "I hate 😡😡 you"])
def test_emoji_do_not_change_the_language(text: str) -> None:
    """fastText takes the first of these texts for Japanese."""
    assert "en" == DETECTOR.detect(text).language


def test_emoji_next_to_words_are_noticed() -> None:
    assert [False, True, True] == [DETECTOR.detect(text).has_emoji for text in ("great :)", "great 👏👏", "👏 great")]


def test_characters_that_no_tokenizer_reads_do_not_hide_a_text() -> None:
    assert DETECTOR.detect(SPANISH) == DETECTOR.detect("\u200b" * 2 * MOST_CHARACTERS + SPANISH)


def test_another_library_of_the_same_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emotag_model.scope.detector.fasttext.load_model", lambda path: None)
    with pytest.raises(ArtifactError, match="the installed module fasttext cannot use it"):
        Detector()


class Fragile:
    """The library, which raises an error or returns nothing for one text."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def predict(self, text: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
        if text != "a secret":
            return ("__label__en",), (0.9,)
        if self.error:
            raise self.error
        return (), ()


@pytest.mark.parametrize("error", [RuntimeError("a secret"), MemoryError(), None])
def test_a_text_on_which_the_library_fails_has_no_language_and_is_logged_once_without_the_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    monkeypatch.setattr("emotag_model.scope.detector.fasttext.load_model", lambda path: Fragile(error))
    detector = Detector()
    with caplog.at_level(logging.WARNING):
        found = [detector.detect(text).language for text in ("A secret", "a text", "a secret")]
        assert UNDETERMINED == detector.detect("a secret")
    assert ["und", "en", "und"] == found
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"({type(error).__name__ if error else 'ValueError'})" in line
    assert "secret" not in line + caplog.text


def test_capitals_do_not_change_the_language() -> None:
    assert DETECTOR.detect(SPANISH) == DETECTOR.detect(SPANISH.upper())


@pytest.mark.parametrize(
    "text", [f"  {SPANISH}\r\n", SPANISH.replace(" ", "\t\n "), "\n" * 2 * MOST_CHARACTERS + SPANISH]
)
def test_texts_with_one_cache_key_have_one_language(text: str) -> None:
    """The model reads them alike, so the cache has one entry for all."""
    assert DETECTOR.detect(SPANISH) == DETECTOR.detect(text)


def test_a_long_text_is_judged_by_its_beginning() -> None:
    beginning = f"{SPANISH} " * (MOST_CHARACTERS // len(SPANISH))
    assert DETECTOR.detect(beginning[:MOST_CHARACTERS]) == DETECTOR.detect(beginning + "I hate you. " * 100_000)


@given(st.text())
def test_any_text_has_an_answer_and_always_the_same(text: str) -> None:
    found = DETECTOR.detect(text)
    assert found.language is None or found.language in LANGUAGES
    assert found == DETECTOR.detect(text)


def test_threads_share_a_detector() -> None:
    texts = [*read_sample_texts()[:200], SPANISH]
    expected = list(map(DETECTOR.detect, texts))
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: list(map(DETECTOR.detect, texts)), range(8)):
            assert expected == found


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """fastText does not check it, and could end the process."""
    file = tmp_path / "lid.ftz"
    with pytest.raises(ArtifactError, match="not readable"):
        Detector(file=file)
    shutil.copy(FILE, file)
    file.write_bytes(FILE.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="damaged"):
        Detector(file=file)


def test_a_missing_list_of_words_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emotag_model.scope.detector.ENGLISH_FILE", tmp_path / "english.txt")
    with pytest.raises(ArtifactError, match=r"english\.txt.*not readable"):
        Detector()


def test_it_needs_no_network_prints_nothing_and_imports_little() -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise OSError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "before = set(sys.modules)\n"
        "import fasttext\n"
        "assert len(set(sys.modules) - before) < 10, set(sys.modules) - before\n"
        "from emotag_model.scope.detector import Detector\n"
        f"assert 'es' == Detector().detect('{SPANISH}').language\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
