"""Detect the language of texts with fastText's small model, lid.176.ftz, which is part of this package.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification" (arXiv:1607.01759); the model is from
https://fasttext.cc/docs/en/language-identification.html, under CC BY-SA 3.0.
"""

import hashlib
import logging
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

import fasttext

from emotag_model.errors import ArtifactError
from emotag_model.spelling.emoji import is_alone, remove
from emotag_model.tokens import MAX_CHARACTERS, normalize

from .languages import DEFAULT
from .rules import EMOJI_ALONE, LEAST_SCORE, NO_WORDS, UNDETERMINED, Detected

FILE = Path(__file__).parent / "lid.176.ftz"
SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"

ENGLISH_FILE = Path(__file__).parent / "english.txt"
"""The words of at least ten texts of GoEmotions' train split: fastText takes "Thanks so much!" for Spanish."""

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

MOST_CHARACTERS = 500
"""Characters of a text that are read, about as many as the model's window: a longer text takes no longer."""

HARMLESS = "a harmless text"

LABEL_PREFIX = "__label__"

_log = logging.getLogger(__name__)


class Detector:
    """A loaded model and a list of English words: 5 MB of memory, 10 ms to load. Several threads can use one instance.

    Args:
        languages: those of the model that reads the texts.

    Raises:
        ArtifactError: a file is missing, or the model is damaged.
    """

    def __init__(self, languages: Collection[str] = DEFAULT, *, file: Path = FILE) -> None:
        # fastText does not check what it reads: a damaged file could end the process.
        if hashlib.sha256(_read(file)).hexdigest() != SHA256:
            raise ArtifactError(file, "damaged: its sha256 does not match; install emotag again")
        self._model = fasttext.load_model(str(file))
        self._languages = frozenset(languages)
        self._english = frozenset(_read(ENGLISH_FILE).decode("ascii", "replace").split())
        self._failed = False
        try:
            (label,), (_,) = self._model.predict(HARMLESS)
            label.removeprefix(LABEL_PREFIX)
        except Exception as error:
            # Other distributions, whose functions return something else, have a module of the same name.
            problem = f"the installed module fasttext cannot use it ({error!r})"
            raise ArtifactError(file, f"{problem}; uninstall fasttext, and install emotag again") from error

    def detect(self, text: str) -> Detected:
        """Return the most probable language of a text.

        A text of common English words alone is English if fastText is sure of a language that is not the model's, or,
        for a model of English, if fastText is not sure.

        `EMOJI_ALONE` for a text that has emoji or emoticons and no words, `NO_WORDS` for any other text without words,
        and `UNDETERMINED` if the library fails on it.
        """
        # First as the tokenizer reads the text: texts with one cache key must have one language.
        written = normalize(text)[:MAX_CHARACTERS]
        read = remove(written)  # fastText takes "I hate you😡" for Japanese
        has_emoji = read != written
        # The tokenizer drops some characters: a text could begin with hundreds of them. Most texts begin with a letter.
        first = 0 if read[:1].isalpha() else next((at for at, each in enumerate(read) if each.isalpha()), None)
        if is_alone(written) or (has_emoji and first is None):
            return EMOJI_ALONE
        if first is None:
            return NO_WORDS
        read = read[first : first + MOST_CHARACTERS]
        try:
            # Few words of the model's vocabulary have capitals: it would guess the language of a text in capitals.
            (label,), (score,) = self._model.predict(read.lower())
            language = label.removeprefix(LABEL_PREFIX)
            is_doubtful = language not in self._languages if score >= LEAST_SCORE else "en" in self._languages
            if is_doubtful and self._english.issuperset(list_words(read)):
                language, score = "en", 1.0
            return Detected(language, score, has_emoji=has_emoji)
        except Exception as error:  # whatever the library raises: one text must not end a stream  # noqa: BLE001
            self._report(error)
            return UNDETERMINED

    def _report(self, error: Exception) -> None:
        """Log the first failure, by its kind alone: an error of the library could contain the text."""
        if not self._failed:
            self._failed = True
            kind = type(error).__name__
            _log.warning("the detector failed on a text (%s); the languages of such texts are null", kind)


def list_words(text: str) -> list[str]:
    """Return the words of a text in lower case, such as `don't`, without digits."""
    # With accents apart from their letters, `è` would be the word `e`.
    return WORD.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ArtifactError(file, f"not readable: {error}; install emotag again") from error
