"""From texts to token ids, with the limit for long texts."""

import json
import re
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer, models

from .engines.native import library
from .engines.native.wordpiece import WordPiece, WordPieceConfig
from .reasons.spans import Offsets
from .spelling.emoji import separate
from .spelling.noise import Spelling, replace_traced
from .spelling.styled import make_plain

MAX_CHARACTERS = 16_384
"""Characters of a text that are read, so that one huge text costs milliseconds and not seconds.

128 WordPiece tokens of running text are about 600 characters; only words of hundreds of letters reach this limit first.
"""

_SPACES = re.compile(r"[ \t\r\n]+")
_WORDS = re.compile(r"[^ \t\r\n]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


class TokenIds(NamedTuple):
    """The tokens of one text.

    Attributes:
        ids: token ids with the special tokens, 2 to `max_tokens` of them.
        truncated: the text was longer than the model's window; ids covers its beginning. With windows: they do not
            cover all of the text.
        unknown: the number of ids that are the vocabulary's unknown token.
        windows: the parts of a long text, which the model reads in place of *ids*; empty for every other text.
        offsets: from `Tokens.locate`, if the tagger was loaded with reasons; otherwise None.
        is_described: the text was emoji or emoticons alone, and ids are those of words that say the same.
    """

    ids: tuple[int, ...]
    truncated: bool
    unknown: int = 0
    windows: "tuple[Window, ...]" = ()
    offsets: Offsets | None = None
    is_described: bool = False

    @property
    def rows(self) -> "Sequence[TokenIds]":
        """The token ids of each forward pass for this text: its windows, or itself."""
        return [window.tokens for window in self.windows] if self.windows else (self,)

    @property
    def length(self) -> int:
        """The number of tokens that the model reads, with the special tokens of each window."""
        return sum(len(row.ids) for row in self.rows) if self.windows else len(self.ids)

    @property
    def pieces(self) -> int:
        """The number of tokens that the model reads, without special tokens."""
        return self.length - 2 * len(self.rows)


class Window(NamedTuple):
    """A part of a long text that fits into the model's window.

    Attributes:
        start, end: its characters in the normalized text.
        tokens: the tokens of these characters alone.
    """

    start: int
    end: int
    tokens: TokenIds


def normalize(text: str) -> str:
    """Return the text as the model reads it: runs of blanks and line breaks become one space, or nothing at the ends.

    A lone surrogate, which is not a character, becomes the replacement character. In the characters that are read (see
    `MAX_CHARACTERS`), styled letters, as in 𝓱𝓪𝓽𝓮, become plain ones, and so do Cyrillic and Greek letters in a Latin
    word that look like Latin ones. Whether a letter does depends on its whole word, so the end of the text is cut off
    first: the characters that are read do not change if they are normalized again.

    Two texts that are equal after this function always get equal tokens, so the cache's fingerprint uses it too.
    Other letters and accents stay unchanged: the tokenizer decides if they matter.
    """
    is_ascii = text.isascii()
    if not is_ascii:
        text = _SURROGATES.sub("\ufffd", text)
    # Few texts need the substitution, and these four searches take a tenth of the time of one by a pattern.
    if "  " in text or "\n" in text or "\t" in text or "\r" in text:
        text = _SPACES.sub(" ", text)
    text = text.strip(" ")
    return text if is_ascii else make_plain(text[:MAX_CHARACTERS]) + text[MAX_CHARACTERS:]


def original_positions(text: str) -> Sequence[int]:
    """Return the place in *text* of each character of `normalize(text)`, and last the place after the last one.

    The list ends with the place after the last character that is read; see `MAX_CHARACTERS`.

    A space that replaces several blanks has the place of the first one. So the characters `start` to `end` of the
    normalized text are the characters `positions[start]` to `positions[end]` of *text*.
    """
    positions: list[int] = []
    end = 0
    for word in _WORDS.finditer(text):
        if positions:
            positions.append(end)
        end = word.end()
        positions.extend(range(word.start(), min(end, word.start() + MAX_CHARACTERS + 1)))
        if len(positions) > MAX_CHARACTERS:
            return positions[: MAX_CHARACTERS + 1]
    return [*positions, end]


class Tokens:
    """A tokenizer, fixed to one window.

    Args:
        tokenizer: any `tokenizers.Tokenizer` whose post-processor adds one special token at each end.
        max_tokens: the model's window, special tokens included.

    The tokenizer must not change later: the library's tables are a copy.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        # Cut here and not in the tokenizer, which does not report a cut, and may pad.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._unknown_id = self._find_unknown_id()
        self._spelling = Spelling.of(tokenizer)
        self._wordpiece: WordPiece | None = None
        if library.is_compiled() and max_tokens >= 2 and (config := WordPieceConfig.of(tokenizer)):
            self._wordpiece = WordPiece(tokenizer, config, max_tokens=max_tokens, max_characters=MAX_CHARACTERS)

    def __call__(self, texts: Sequence[str], *, are_parts: bool = False) -> list[TokenIds]:
        """Return the token ids of each text, in order, after its noisy spelling is corrected.

        A text beyond the window keeps its first tokens and the last.

        Args:
            are_parts: True for windows of longer texts; see `Spelling.correct`.
        """
        normalized = list(map(normalize, texts))
        found = self._read(normalized)
        if self._spelling is not None:
            corrected, described, cut = {}, set(), set()
            # Most texts have nothing to correct, and their tokens show it.
            for number in self._spelling.find_suspects([text.ids for text in found]):
                whole = normalized[number]
                read = whole[:MAX_CHARACTERS]
                if (spelled := self._spelling.correct(read, is_part=are_parts)) != read:
                    corrected[number] = spelled
                    if not are_parts and self._spelling.describes(read):
                        described.add(number)
                    if len(read) < len(whole):
                        cut.add(number)
            for number, tokens in zip(corrected, self._read(list(corrected.values())), strict=True):
                truncated = tokens.truncated or number in cut
                found[number] = tokens._replace(truncated=truncated, is_described=number in described)
        return found

    def locate(self, texts: Sequence[str], *, are_parts: bool = False) -> list[Offsets]:
        """Return the characters of the word that each token is a part of, in order, as places in `normalize(text)`.

        Words are those of the tokenizer. A word whose spelling was corrected has the characters that were written.

        Args:
            are_parts: as in `__call__`.
        """
        normalized = [normalize(text)[:MAX_CHARACTERS] for text in texts]
        encodings = self._tokenizer.encode_batch(normalized)
        traced: dict[int, tuple[str, list[int], list[int]]] = {}
        if self._spelling is not None:
            for number in self._spelling.find_suspects([self._cut(encoding.ids) for encoding in encodings]):
                found = self._spelling.trace(normalized[number], is_part=are_parts)
                if found[0] != normalized[number]:
                    traced[number] = found
            spelled = [text[:MAX_CHARACTERS] for text, _, _ in traced.values()]
            for number, encoding in zip(traced, self._tokenizer.encode_batch(spelled), strict=True):
                encodings[number] = encoding
        offsets = _find_words(encodings)
        for number, (_, starts, ends) in traced.items():
            written = ((starts[start], ends[end - 1]) if start < end else (0, 0) for start, end in offsets[number])
            offsets[number] = np.array(list(written), np.int32)
        return [self._cut(each) for each in offsets]

    def _cut(self, tokens: Any) -> Any:
        """Return the tokens in the model's window: the first ones, and the last."""
        if len(tokens) <= self._max_tokens:
            return tokens
        kept = tokens[: self._max_tokens]
        kept[-1] = tokens[-1]
        return kept

    def _read(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of normalized texts. The library reads most, and the tokenizer the others, alike."""
        if self._wordpiece is None:
            return self._encode(texts)
        ids, counts, unknown, truncated = self._wordpiece(texts)
        rows, start = [], 0
        for count in counts:
            end = start + count if count > 0 else start
            rows.append(ids[start:end])
            start = end
        result = list(map(TokenIds, rows, truncated, unknown))
        others = [text for text, count in enumerate(counts) if count < 0]
        for text, found in zip(others, self._encode([texts[text] for text in others]), strict=True):
            result[text] = found
        return result

    def _encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of normalized texts from the tokenizer, which reads all texts."""
        encodings = self._tokenizer.encode_batch_fast([text[:MAX_CHARACTERS] for text in texts])
        result = []
        for text, encoding in zip(texts, encodings, strict=True):
            ids = self._cut(encoding.ids)
            truncated = len(ids) < len(encoding.ids) or len(text) > MAX_CHARACTERS
            result.append(TokenIds(tuple(ids), truncated, ids.count(self._unknown_id)))
        return result

    def find_starts(self, text: str) -> Sequence[int]:
        """Return the first character of each token of a normalized text, without special tokens, in rising order."""
        places = list(range(len(text)))
        if self._spelling is not None and (step := separate(text)):
            # As one run, words and emoji without blanks would be one token.
            text, places, _ = replace_traced(*step, text, places, list(range(1, len(text) + 1)))
        starts = [places[start] for start, _ in self._tokenizer.encode(text, add_special_tokens=False).offsets]
        return list(accumulate(starts, max))

    @property
    def max_tokens(self) -> int:
        """The model's window, special tokens included."""
        return self._max_tokens

    def _find_unknown_id(self) -> int:
        """Return the id of the unknown token; -1, which no text has, if there is none: byte-level tokenizers."""
        model = self._tokenizer.model
        if isinstance(model, models.Unigram):
            found: int | None = json.loads(self._tokenizer.to_str())["model"]["unk_id"]  # it has no attribute for it
            return -1 if found is None else found
        unknown = getattr(model, "unk_token", None)
        return -1 if unknown is None else self.id_of(unknown)

    def id_of(self, *tokens: str) -> int:
        """Return the id of the first of these tokens that the vocabulary has.

        Raises:
            ValueError: the vocabulary has none of them.
        """
        for token in tokens:
            found: int | None = self._tokenizer.token_to_id(token)
            if found is not None:
                return found
        raise ValueError(f"the tokenizer has no token {' or '.join(tokens)}")


def _find_words(encodings: Sequence[Encoding]) -> list[Offsets]:
    """Return the characters of the word of each token; zeros for special tokens."""
    if not encodings:
        return []
    lengths_B = np.fromiter((len(encoding) for encoding in encodings), np.int64, len(encodings))
    pairs = chain.from_iterable(encoding.offsets for encoding in encodings)
    offsets_T2 = np.fromiter(chain.from_iterable(pairs), np.int32, 2 * int(lengths_B.sum())).reshape(-1, 2)
    words = chain.from_iterable(encoding.word_ids for encoding in encodings)
    words_T = np.fromiter((-1 if word is None else word for word in words), np.int64, len(offsets_T2))
    # A text begins and ends with a special token, so the words of two texts are never next to each other.
    is_first_T = np.diff(words_T, prepend=-2) != 0
    number_T = np.cumsum(is_first_T) - 1
    firsts_W = np.flatnonzero(is_first_T)
    words_W2 = np.stack([offsets_T2[firsts_W, 0], offsets_T2[np.append(firsts_W[1:], len(offsets_T2)) - 1, 1]], axis=1)
    return np.split(words_W2[number_T], np.cumsum(lengths_B)[:-1])


def pad(
    rows: Sequence[Sequence[int]], *, pad_id: int, round_to: int = 1, widest: int | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return rows of ids as one rectangle.

    Args:
        rows: token ids of each text.
        pad_id: fills the ends of shorter rows.
        round_to: the width is rounded up to a multiple of this: some devices compile kernels per shape.
        widest: the width is not rounded up beyond this; no row may be longer.

    Returns:
        ids_BL and mask_BL, the mask true on real tokens.
    """
    lengths_B = np.array([len(row) for row in rows])
    width = round_width(int(lengths_B.max()), round_to=round_to, widest=widest)
    mask_BL = np.arange(width) < lengths_B[:, None]
    ids_BL = np.full((len(rows), width), pad_id, dtype=np.int64)
    ids_BL[mask_BL] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return ids_BL, mask_BL


def round_width(length: int, *, round_to: int, widest: int | None) -> int:
    """Return *length* rounded up to a multiple of *round_to*, but not beyond *widest*."""
    width = -(-length // round_to) * round_to
    return width if widest is None else min(width, widest)
