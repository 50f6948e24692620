"""Undo noisy spelling: `h4te`, `d e a d`, `sooooo`, `sh*t`, `htae`.

WordPiece cuts such words into pieces that say little, so the model misses them. A word that the vocabulary has stays as
it is. Any other word is replaced only if undoing one kind of noise gives a word of the vocabulary.

A text of emoji alone is replaced by words that say the same, and emoji are separated from words.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, product
from typing import Self

import numpy as np
from tokenizers import Tokenizer, models

from .emoji import Replacement, describe, has_words, is_alone, separate

CONTINUATION = "##"
"""The beginning of pieces that continue a word, as in every published WordPiece vocabulary."""

SIGNS = "*@$!#"
"""The signs that people write in place of letters."""

RARE_SIGNS = "*@$"
"""Signs so rare that each text with one is checked."""

LEET = str.maketrans("43105$7@!", "aeiosstai")

MASKABLE = (
    *("fuck", "fucking", "fucked", "fucker", "fuckers", "fucks", "motherfucker", "motherfucking", "shit", "shitty"),
    *("shits", "bullshit", "bitch", "bitches", "bitching", "ass", "asses", "asshole", "assholes", "dumbass", "badass"),
    *("damn", "damned", "goddamn", "dick", "dicks", "crap", "cunt", "cunts", "cock", "pussy", "bastard", "bastards"),
    *("whore", "whores", "slut", "sluts", "hell", "piss", "pissed", "porn", "sex", "kill", "suicide", "rape", "die"),
)
"""Words that people mask, as in `f**k`. Of several that fit, the first counts."""

CONTRACTIONS = {
    short.replace("'", ""): short
    for short in (
        *("isn't", "aren't", "wasn't", "weren't", "don't", "doesn't", "didn't", "haven't", "hasn't", "hadn't", "can't"),
        *("couldn't", "won't", "wouldn't", "shouldn't", "mightn't", "mustn't", "needn't", "ain't", "i've"),
        *("you've", "we've", "they've", "could've", "would've", "should've", "you're", "they're", "it'll", "you'll"),
        *(
            "they'll",
            "that'll",
            "you'd",
            "they'd",
            "that's",
            "what's",
            "who's",
            "where's",
            "there's",
            "here's",
            "let's",
        ),
    )
}
"""Contractions by their spelling without the apostrophe."""

LONGEST = 32
"""Letters of the longest word that is checked: longer strings are not misspelled words."""

MOST_CHARACTERS = 2_048
"""Characters of a text that are corrected: more than a model's window has, and few enough to take milliseconds."""

SHORTEST = 3
"""Letters of the shortest word that is checked: most strings of two letters are words."""

SHORTEST_SWAPPED = 4
"""Letters of the shortest word in which letters are swapped back."""

WORDS_KEPT = 16_384
"""Words whose correction is kept: some MB."""

MOST_RUNS = 4
"""Runs of equal letters, of which each can be one letter or two: 16 candidates."""

_WORD = re.compile(rf"[\w{re.escape(SIGNS)}]+")
_RUN = re.compile(r"([a-z])\1*")
_LONG_RUN = re.compile(r"([a-z])\1\1")
_QUANTITY = re.compile(r"\$?\d+[a-z]{0,2}\$?")
"""Prices, times and sizes, such as 45$, 5am or 50ft."""
_CURRENCIES = frozenset(("us$", "au$", "ca$", "hk$", "nt$", "nz$"))
_NUMBERED = re.compile(r"([a-z]+)(\d+)")
"""Names with a number, such as ps4, top5 or formula1, if the letters are a word."""
_SPACED = re.compile(r"(?<!\S)[A-Za-z](?: [A-Za-z]){2,}(?!\S)")
_EDGES = "!#_"
"""Signs that are punctuation at the ends of a word."""


class Spelling:
    """Corrects words with the vocabulary of a WordPiece tokenizer.

    Args:
        vocabulary: the id of each piece. Of two candidates, the one with the smaller id counts: published vocabularies
            are sorted by frequency.
        unknown: the piece for words that the vocabulary does not have.
    """

    def __init__(self, vocabulary: Mapping[str, int], *, unknown: str = "[UNK]") -> None:
        # Unknown words repeat as all words do: most are names.
        self._correct_word = lru_cache(maxsize=WORDS_KEPT)(self._correct_written)
        self._words = {piece: number for piece, number in vocabulary.items() if piece.isalnum() and len(piece) > 1}
        self._common = len(vocabulary) // 2
        self._masked = [word for word in MASKABLE if word in self._words]
        # In a vocabulary of another language, such a word may be no contraction.
        self._contractions = {word: short for word, short in CONTRACTIONS.items() if short.split("'")[0] in vocabulary}
        self._describes_emoji = has_words(vocabulary)
        sizes = np.zeros(max(vocabulary.values(), default=0) + 1, np.int8)
        self._is_piece_V, self._is_sign_V = np.zeros(len(sizes), np.bool_), np.zeros(len(sizes), np.bool_)
        for piece, number in vocabulary.items():
            self._is_piece_V[number] = piece.startswith(CONTINUATION) or piece in RARE_SIGNS or piece == unknown
            self._is_sign_V[number] = piece in SIGNS
            sizes[number] = min(len(piece), SHORTEST) if piece.isalpha() else 0
        self._is_letter_V, self._is_short_V = sizes == 1, (sizes > 0) & (sizes < SHORTEST)
        self._is_word_V = sizes == SHORTEST  # no emoticon has so many letters, however often its last one is repeated

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Return the corrector for a tokenizer; None if it is not a WordPiece in lower case."""
        model = tokenizer.model
        is_wordpiece = isinstance(model, models.WordPiece) and model.continuing_subword_prefix == CONTINUATION
        is_lower_case = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"
        return cls(tokenizer.get_vocab(), unknown=model.unk_token) if is_wordpiece and is_lower_case else None

    def find_suspects(self, rows: Sequence[Sequence[int]]) -> list[int]:
        """Return the texts that may have something to correct.

        Such a text has a word in pieces, an unknown word, a rare sign, a sign after one or two letters, or three single
        letters. Or it has no token of three letters or more, so it may be an emoticon.

        Args:
            rows: the token ids of each text, at least one.
        """
        if not rows:
            return []
        lengths_B = np.fromiter(map(len, rows), np.int64, len(rows))
        ends_B = np.cumsum(lengths_B)
        ids_T = np.fromiter(chain.from_iterable(rows), np.int32, int(ends_B[-1]))
        suspect_T, letter_T = self._is_piece_V[ids_T], self._is_letter_V[ids_T]
        suspect_T[2:] |= letter_T[2:] & letter_T[1:-1] & letter_T[:-2]
        suspect_T[1:] |= self._is_sign_V[ids_T[1:]] & self._is_short_V[ids_T[:-1]]
        starts_B = ends_B - lengths_B
        suspect_B = np.logical_or.reduceat(suspect_T, starts_B)
        if self._describes_emoji:
            suspect_B |= ~np.logical_or.reduceat(self._is_word_V[ids_T], starts_B)
        suspects: list[int] = np.flatnonzero(suspect_B).tolist()
        return suspects

    def describes(self, text: str) -> bool:
        """Return True if a whole text is emoji or emoticons, and `correct` replaces them by words."""
        return self._describes_emoji and len(text) <= MOST_CHARACTERS and is_alone(text)

    def correct(self, text: str, *, is_part: bool = False) -> str:
        """Return the text with the noisy words in its first `MOST_CHARACTERS` corrected.

        Args:
            text: with single spaces, as `tokens.normalize` returns it.
            is_part: True for a window of a longer text. Emoji alone are not replaced then: other windows may have
                words.
        """
        beginning, rest = _divide(text)
        for find in self._list_steps(text, is_part=is_part):
            if step := find(beginning):
                beginning = step[0].sub(step[1], beginning)
        return beginning + rest

    def trace(self, text: str, *, is_part: bool = False) -> tuple[str, list[int], list[int]]:
        """Return the corrected text, and for each of its characters the characters of *text* that it stands for.

        Args:
            text, is_part: as in `correct`.

        Returns:
            `correct(text)`, and for each character the first one in *text*, and the one after the last.
        """
        beginning, rest = _divide(text)
        starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
        for find in self._list_steps(text, is_part=is_part):
            if step := find(beginning):
                beginning, starts, ends = replace_traced(*step, beginning, starts, ends)
        return beginning + rest, starts, ends

    def _list_steps(self, text: str, *, is_part: bool) -> Sequence[Callable[[str], Replacement | None]]:
        """Return the steps that correct a text: each returns the replacement for the result of the step before."""
        if not is_part and self.describes(text):
            return (describe,)
        return separate, self._join_letters, self._replace_words

    def _join_letters(self, text: str) -> Replacement:
        return _SPACED, self._join

    def _replace_words(self, text: str) -> Replacement | None:
        corrections = self._find_corrections(text)
        return (_WORD, lambda found: corrections.get(found[0].lower(), found[0])) if corrections else None

    def _find_corrections(self, text: str) -> dict[str, str]:
        """Return the correction of each word in lower case that has one."""
        unknown = {
            word
            for word in _WORD.findall(text.lower())
            if SHORTEST <= len(word) <= LONGEST and word not in self._words and word.isascii()
        }
        return {word: corrected for word in unknown if (corrected := self._correct_word(word)) != word}

    def _join(self, found: re.Match[str]) -> str:
        joined = found[0].replace(" ", "")
        return joined if self._words.get(joined.lower(), self._common) < self._common else found[0]

    def _correct_written(self, written: str) -> str:
        """Return a word, which may have punctuation at its ends, with its noise undone."""
        word = written.strip(_EDGES)
        if len(word) < SHORTEST or word in self._words or _QUANTITY.fullmatch(word):
            return written
        return written.replace(word, self._contractions.get(word) or self._find(word) or word)

    def _find(self, word: str) -> str | None:
        """Return the most frequent word of the vocabulary that one kind of noise can turn into *word*."""
        if word in _CURRENCIES:
            return None
        if word.isalpha():
            return self._choose(_shorten_runs(word)) or self._choose(self._find_swapped(word))
        if (numbered := _NUMBERED.fullmatch(word)) and (numbered[1] in self._words or len(numbered[2]) > 1):
            return None
        plain = word.translate(LEET)
        if word[0] == "@" and len(word) > SHORTEST and self._is_more_frequent(word[1:], plain):
            return None  # a mention: `@live` is more likely `live` than `alive`, but `@bout` is `about`
        return self._choose([plain]) or self._unmask(word)

    def _is_more_frequent(self, word: str, other: str) -> bool:
        """Return True if the vocabulary has a word, and does not have another one that is more frequent."""
        return self._words.get(word, len(self._words)) < self._words.get(other, len(self._words))

    def _choose(self, candidates: Iterable[str]) -> str | None:
        known = (word for word in candidates if word in self._words and word.isalpha())
        return min(known, key=self._words.__getitem__, default=None)

    def _find_swapped(self, word: str) -> Iterator[str]:
        """Yield the common words that differ from the word by two neighboring letters, swapped."""
        for common in self._anagrams.get("".join(sorted(word)), ()):
            different = [at for at, (here, there) in enumerate(zip(word, common, strict=True)) if here != there]
            if different[-1] - different[0] == 1:
                yield common

    @cached_property
    def _anagrams(self) -> Mapping[str, Sequence[str]]:
        """Common words by their sorted letters. Rare words are left out: too many of them are names or misspellings."""
        found = defaultdict(list)
        for word in self._words:
            if len(word) >= SHORTEST_SWAPPED and self._words[word] < self._common:
                found["".join(sorted(word))].append(word)
        return found

    def _unmask(self, word: str) -> str | None:
        letters = sum(map(str.isalpha, word))
        if not word[0].isalpha() or (letters < 2 and len(word) <= SHORTEST):
            return None
        return next((each for each in self._masked if len(each) == len(word) and _is_mask(word, each)), None)


def _divide(text: str) -> tuple[str, str]:
    """Return the words that are corrected, and the rest."""
    if len(text) <= MOST_CHARACTERS:
        return text, ""
    blank = text.rfind(" ", 0, MOST_CHARACTERS)
    end = MOST_CHARACTERS if blank < 0 else blank
    return text[:end], text[end:]


def replace_traced(
    pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str, starts: list[int], ends: list[int]
) -> tuple[str, list[int], list[int]]:
    """Return `pattern.sub(replace, text)`; each character of a replacement stands for all that it replaces.

    Args:
        starts, ends: what the characters of *text* stand for, as in `Spelling.trace`; more may follow.
    """
    pieces, at = [], 0
    new_starts, new_ends = [], []
    for found in pattern.finditer(text):
        first, last = found.span()
        if (replacement := replace(found)) == found[0]:
            continue
        pieces += [text[at:first], replacement]
        new_starts += starts[at:first] + [starts[first]] * len(replacement)
        new_ends += ends[at:first] + [ends[last - 1]] * len(replacement)
        at = last
    return "".join([*pieces, text[at:]]), new_starts + starts[at:], new_ends + ends[at:]


def _is_mask(word: str, masked: str) -> bool:
    return all(sign == letter or sign in SIGNS for sign, letter in zip(word, masked, strict=True))


def _shorten_runs(word: str) -> Iterator[str]:
    """Yield the word with each run of three and more equal letters as one letter or two."""
    if _LONG_RUN.search(word) is None:
        return
    runs = [found[0] for found in _RUN.finditer(word)]
    if sum(len(run) > 2 for run in runs) <= MOST_RUNS:
        options = [(run[0], run[:2]) if len(run) > 2 else (run,) for run in runs]
        yield from map("".join, product(*options))
