"""WordPiece in C: the tables for a tokenizer, and token ids for texts whose characters are in them."""

import ctypes
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from . import library

UNSUPPORTED, DROPPED, SPACE, ALONE, PART = range(5)
"""As in `wordpiece.h`."""

CHARACTER = np.dtype([("kind", "u1"), ("length", "u1"), ("bytes", "S4")])
SLOT = np.dtype(
    [("hash", np.uint32), ("id", np.int32), ("start", np.uint32), ("length", np.uint16), ("inside", np.uint16)]
)
"""Structures of `wordpiece.h`."""

PREFIX, WORD_CHARACTERS = "##", 100

EMOJI = "[\u00a9\u00ae\u203c\u2049\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
"""Characters that are a word each, also next to letters: a pattern in tokenizers that know emoji."""

BERT: Mapping[str, Any] = {"type": "BertPreTokenizer"}
PRE_TOKENIZERS = (
    BERT,
    {
        "type": "Sequence",
        "pretokenizers": [
            BERT,
            {"type": "Split", "pattern": {"Regex": EMOJI}, "behavior": "Isolated", "invert": False},
        ],
    },
)
"""How a tokenizer that the library can replace finds words. Both ways decide by single characters."""

BLOCKS = (range(0x3000), range(0xFE00, 0xFF00), range(0x1F000, 0x1FB00))
"""Code points that the table covers: alphabets and punctuation, emoji and their variants. It lacks mainly the scripts
of East Asia, whose thousands of characters would lengthen the start."""


class Vocabulary(ctypes.Structure):
    """A tokenizer's tables; see `wordpiece.h`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("slots", "pieces", "characters")),
        ("added", ctypes.c_char_p),
        *((name, ctypes.c_uint32) for name in ("places", "code_points")),
        *((name, ctypes.c_int32) for name in ("longest", "unknown", "first", "last")),
    )


@dataclass(frozen=True, slots=True)
class WordPieceConfig:
    """A tokenizer that the library can replace.

    Attributes:
        vocabulary: the id of each piece.
        added: tokens that are found in a text before its words are.
        unknown, first, last: ids of the special tokens for unknown words, and at the ends of a text.
    """

    vocabulary: Mapping[str, int]
    added: tuple[str, ...]
    unknown: int
    first: int
    last: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Return the config of a tokenizer, or None if it tokenizes in another way than uncased BERT."""
        if not isinstance(tokenizer.model, models.WordPiece):
            return None  # before JSON of a large vocabulary is read
        parts = json.loads(tokenizer.to_str())
        model, normalizer, added = parts["model"], parts["normalizer"] or {}, parts["added_tokens"]
        ends = _find_ends(parts["post_processor"] or {})
        supported = (
            normalizer.pop("strip_accents", False) in (None, True)
            and normalizer
            == {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
            and parts["pre_tokenizer"] in PRE_TOKENIZERS
            and model["continuing_subword_prefix"] == PREFIX
            and model["max_input_chars_per_word"] == WORD_CHARACTERS
            and model["unk_token"] in model["vocab"]
            and ends is not None
            and all(map(_is_simple, added))
        )
        if not supported or ends is None:
            return None
        names = tuple(token["content"] for token in added)
        return cls(model["vocab"], names, model["vocab"][model["unk_token"]], *ends)


def _is_simple(added: Mapping[str, Any]) -> bool:
    """Return True if the library finds an added token exactly where `tokenizers` does."""
    content: str = added["content"]
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    plain = content.isascii() and content.isprintable() and " " not in content
    return content.startswith("[") and plain and not any(added[flag] for flag in flags)


def _find_ends(processor: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the ids of the special tokens at the ends, or None if a text gets others."""
    match processor:
        case {"type": "BertProcessing", "cls": [_, int(first)], "sep": [_, int(last)]}:
            return first, last
        case {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": begin}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": end}}],
            "special_tokens": special,
        }:
            match special[begin]["ids"], special[end]["ids"]:
                case [int(first)], [int(last)]:
                    return first, last
    return None


class WordPiece:
    """The tables of one tokenizer, as it is now. It owns the arrays that the library reads.

    Args:
        config: `WordPieceConfig.of(tokenizer)`.
        max_tokens: the model's window, special tokens included; at least 2.
        max_characters: longer texts have no result.

    Raises:
        OSError: the library is missing.
    """

    def __init__(self, tokenizer: Tokenizer, config: WordPieceConfig, *, max_tokens: int, max_characters: int) -> None:
        self._library = library.load()
        self._max_tokens, self._max_characters = max_tokens, max_characters
        pieces = [piece.encode() for piece in config.vocabulary]
        joined = np.frombuffer(b"".join(pieces), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, pieces), np.int32, len(pieces)), dtype=np.int32)
        ids = np.fromiter(config.vocabulary.values(), np.int32, len(pieces))
        slots = np.zeros(2 ** (2 * len(pieces)).bit_length(), SLOT)  # at most half full
        characters = build_characters(tokenizer)
        self._kept = (joined, slots, characters)  # what the library points to must not be freed
        self._vocabulary = Vocabulary(
            slots=slots.ctypes.data,
            pieces=joined.ctypes.data,
            characters=characters.ctypes.data,
            added="".join(f"{token}\0" for token in config.added).encode(),
            places=len(slots),
            code_points=len(characters),
            unknown=config.unknown,
            first=config.first,
            last=config.last,
        )
        self._pointer = ctypes.addressof(self._vocabulary)
        if self._library.emotag_wordpiece_fill(
            self._pointer, PREFIX.encode(), ends.ctypes.data, ids.ctypes.data, len(pieces), len(joined)
        ):
            raise ValueError("the vocabulary does not fit into its table")

    def __call__(self, texts: Sequence[str]) -> tuple[tuple[int, ...], list[int], list[int], list[bool]]:
        """Return the ids of all texts end to end, and three lists with an entry for each text.

        The lists are: the number of tokens, or -1 if the library cannot read the text; how many of them are unknown;
        and True for a text beyond the window.
        """
        utf8 = "".join(texts).encode("utf-8", "surrogatepass")  # the library does not read texts with surrogates
        lengths_B = np.fromiter(map(len, texts), np.int32, len(texts))
        found_B3 = np.empty((len(texts), 3), np.int32)
        ids_T = np.empty(len(texts) * self._max_tokens, np.int32)
        failed = self._library.emotag_wordpiece(
            self._pointer,
            utf8,
            len(utf8),
            lengths_B.ctypes.data,
            len(texts),
            self._max_characters,
            self._max_tokens,
            ids_T.ctypes.data,
            len(ids_T),
            found_B3.ctypes.data,
        )
        if failed:
            raise ValueError("a text's length is out of range")
        tokens_B, unknown_B, truncated_B = found_B3.T
        used = int(np.maximum(tokens_B, 0).sum())
        # One list for all texts: its slices are faster than a loop over the ids of each text.
        return tuple(ids_T[:used].tolist()), tokens_B.tolist(), unknown_B.tolist(), truncated_B.astype(bool).tolist()


def build_characters(tokenizer: Tokenizer) -> npt.NDArray[np.void]:
    """Return what the tokenizer does with each character, by code point: a table of `CHARACTER`.

    The tokenizer's own parts answer for every single character, so there is no second table of Unicode to keep right.
    A character has the same result in every text, because BERT's normalizer decides by single characters. The exception
    are characters that Unicode sorts when they follow each other, and that the normalizer keeps: they are unsupported.
    """
    codes = [code for code in chain(*BLOCKS) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    normalized = [tokenizer.normalizer.normalize_str(chr(code)) for code in codes]
    kept = {character for character in normalized if len(character) == 1 and not unicodedata.combining(character)}
    kinds = _find_kinds(tokenizer, kept) | {"": DROPPED}
    rows = []
    for character in normalized:
        kind = kinds.get(character, UNSUPPORTED)
        written = character.encode() if kind in (ALONE, PART) else b""
        rows.append((kind, len(written), written))
    table = np.zeros(max(codes) + 1, CHARACTER)
    table[codes] = np.array(rows, CHARACTER)
    return table


def _find_kinds(tokenizer: Tokenizer, characters: Iterable[str]) -> dict[str, int]:
    """Return the kind of each character, which is normalized. Between letters, each kind leaves other pieces behind."""
    order = list(characters)
    kinds = dict.fromkeys(order, SPACE)
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str("a".join(["", *order, ""]))
    for _, (start, end) in pieces:
        for at in range(start | 1, end, 2):  # a letter is at each even place
            kinds[order[at // 2]] = ALONE if end - start == 1 else PART
    return kinds
