"""WordPiece in C gives what `tokenizers` gives, for every text and every window."""

import csv
import ctypes
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from emotag_model import artifact
from emotag_model.engines.native import library, wordpiece
from emotag_model.engines.native.wordpiece import WordPiece, WordPieceConfig
from emotag_model.tokens import MAX_CHARACTERS, TokenIds, Tokens
from tests.numerics.conftest import tiny_tokenizer, unigram_tokenizer

pytestmark = pytest.mark.skipif(not library.is_compiled(), reason="the library is not compiled")

SHIPPED = artifact.DEFAULT / artifact.TOKENIZER
SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "[cls]", "[Mask]", "[NAME]", "[", "]", "[C", "##ing", "#")
EMOJI = "😂🏽☕⏳‼🦀"
CHARACTERS = (
    EMOJI
    + "aeXYZ 19.,!'\"-_[]#\t\r\n\0\x07\x0b\x7f\x85\xa0éÉßøİſΣς’‘“”–—…\u00ad\u0301\u200b\u200d\u2028\ufe0f\ufffd中가"
    "\u0430\u0435\u043c\u03bfᴀʰ𝓱🅰"
)
PARTS = st.one_of(
    st.sampled_from(SPECIAL),
    st.sampled_from(["unbelievable", "tokenization", "a" * 100, "a" * 101, "é" * 100, "😂" * 101, "x" * 130, "\ud83d"]),
    st.text(st.characters(max_codepoint=127)),
    st.text(st.sampled_from(CHARACTERS)),
    st.text(st.characters()),
    st.text(st.characters(categories=["Mn", "Mc", "Me", "Cf", "Cc", "Co", "Cs", "Zs", "Po"])),
)
TEXTS = st.lists(PARTS, max_size=8).map("".join)


@pytest.fixture(scope="module", params=[(2, True), (3, True), (12, True), (128, True), (12, False), (128, False)])
def both(request: pytest.FixtureRequest) -> tuple[Tokens, Tokens]:
    """Tokens with the library, and without it."""
    max_tokens, with_emoji = request.param
    return build_both(max_tokens, with_emoji=with_emoji)


def build_both(max_tokens: int, *, with_emoji: bool = True) -> tuple[Tokens, Tokens]:
    """Tokens of the shipped tokenizer, or of one that cuts emoji as uncased BERT does."""
    cut = wordpiece.PRE_TOKENIZERS[with_emoji]
    tokenizer = _change(pre_tokenizer=cut)
    fast = Tokens(tokenizer, max_tokens=max_tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "is_compiled", lambda: False)
        return fast, Tokens(tokenizer, max_tokens=max_tokens)


def build(tokenizer: Tokenizer, *, max_tokens: int = 128) -> WordPiece:
    config = WordPieceConfig.of(tokenizer)
    assert config is not None
    return WordPiece(tokenizer, config, max_tokens=max_tokens, max_characters=MAX_CHARACTERS)


@pytest.fixture(scope="module")
def shipped_pieces() -> WordPiece:
    return build(Tokenizer.from_file(str(SHIPPED)))


@given(texts=st.lists(TEXTS, max_size=6))
@example(texts=[])
@example(texts=["", " ", "\0", "\ud83d", "\ude00", "\ud83d\ude00"])
@example(texts=["a [SEP]", "[MASK] a", "ab[CLS]", " ".join("abcdefghijklmn") + "[SEP]", "[cls] [Sep] [ SEP]"])
@example(texts=["a" * 100, "a" * 101, "é" * 100 + "!", "\u0301" * 200 + "a", "-".join("a" * 300)])
@example(texts=["a " * (MAX_CHARACTERS // 2), "a " * MAX_CHARACTERS, "☃" * (MAX_CHARACTERS + 1), "a" * MAX_CHARACTERS])
def test_any_texts_get_the_same_tokens_as_without_the_library(both: tuple[Tokens, Tokens], texts: list[str]) -> None:
    fast, plain = both
    assert plain(texts) == fast(texts)


@pytest.mark.parametrize("with_emoji", [True, False])
def test_every_character_alone_and_in_a_word_gets_the_same_tokens(with_emoji: bool) -> None:
    fast, plain = build_both(128, with_emoji=with_emoji)
    characters = [chr(code) for code in chain(*wordpiece.BLOCKS, range(0xD7F0, 0xE010))]
    texts = [f"{c} un{c}able {c}{c} e{c}\u0301" for c in characters]
    differing = [hex(ord(c)) for c, a, b in zip(characters, plain(texts), fast(texts), strict=True) if a != b]
    assert [] == differing


def test_goemotions_gets_the_same_tokens_and_the_library_reads_almost_all_of_it(
    goemotions: Path, shipped_pieces: WordPiece
) -> None:
    texts = []
    for name in ("train.tsv", "dev.tsv"):
        with (goemotions / name).open(encoding="utf-8", newline="") as lines:
            texts += [row[0] for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    for max_tokens in (128, 12):
        fast, plain = build_both(max_tokens)
        assert plain(texts) == fast(texts)
    _, counts, _, _ = shipped_pieces(texts)
    assert sum(count >= 0 for count in counts) > 0.999 * len(texts)


@pytest.mark.parametrize("text", ["[SEP]", "a[MASK]b", "中", "가", "\ud83d", "a" * (MAX_CHARACTERS + 1)])
def test_texts_that_the_library_cannot_read_are_left_to_the_tokenizer(shipped_pieces: WordPiece, text: str) -> None:
    ids, counts, unknown, truncated = shipped_pieces(["a", text, "b"])
    assert ([3, -1, 3], [0, 0, 0], [False] * 3) == (counts, unknown, truncated)
    assert 6 == len(ids)


@pytest.mark.parametrize("text", ["’‘“”–—…", "\xa0é", "😂☕\ufe0f", "[NAME] [sep]", "Привет שלום"])
def test_texts_of_common_characters_are_read_by_the_library(shipped_pieces: WordPiece, text: str) -> None:
    _, (count,), _, _ = shipped_pieces([text])
    assert count > 2


def test_nothing_after_the_cut_keeps_the_library_from_reading_a_text() -> None:
    fast, plain = build_both(5)
    texts = ["a b c d [SEP] 中", "a b c [SEP]"]
    assert plain(texts) == fast(texts)
    _, counts, _, truncated = build(Tokenizer.from_file(str(SHIPPED)), max_tokens=5)(texts)
    assert ([5, -1], [True, False]) == (counts, truncated)


def test_an_unknown_word_is_counted_within_the_window_alone() -> None:
    fast, _ = build_both(5, with_emoji=False)
    assert [TokenIds((101, 100, 100, 1037, 102), True, 2)] == fast(["🚜🚜 🛠🛠 a 🚜 🚜"])


def test_an_emoji_is_a_word_by_itself() -> None:
    for fast in build_both(9):
        assert 7 == len(fast(["😂😂ok😂!"])[0].ids)


def _change(**changes: Any) -> Tokenizer:
    """Return the shipped tokenizer with other values, as `part__key=value`, or `part=value` for a whole part."""
    settings = json.loads(SHIPPED.read_text(encoding="utf-8"))
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            settings[part][key] = value
        else:
            settings[part] = value
    return Tokenizer.from_str(json.dumps(settings))


def _add(*tokens: AddedToken) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(SHIPPED))
    tokenizer.add_special_tokens(list(tokens))
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    return tokenizer


def _three_special_tokens() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(SHIPPED))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    return tokenizer


OTHERS: dict[str, Callable[[], Tokenizer]] = {
    "cased": lambda: _change(normalizer__lowercase=False),
    "accents": lambda: _change(normalizer__strip_accents=False),
    "control characters": lambda: _change(normalizer__clean_text=False),
    "no normalizer": lambda: _change(normalizer=None),
    "whitespace": lambda: _change(pre_tokenizer={"type": "Whitespace"}),
    "prefix": lambda: _change(model__continuing_subword_prefix="@@"),
    "long words": lambda: _change(model__max_input_chars_per_word=200),
    "no special tokens": lambda: _change(post_processor=None),
    "three special tokens": _three_special_tokens,
    "added word": lambda: _add(AddedToken("emoji", normalized=False)),
    "added without case": lambda: _add(AddedToken("[emoji]", normalized=True)),
    "added with space": lambda: _add(AddedToken("[an emoji]", normalized=False)),
    "added with blanks": lambda: _add(AddedToken("[emoji]", normalized=False, lstrip=True)),
    "byte level": _byte_level,
    "unigram": unigram_tokenizer,
    "letters": tiny_tokenizer,
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_library_is_not_used_for_other_tokenizers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = OTHERS[name]()
    assert WordPieceConfig.of(tokenizer) is None
    texts = ["Ça va?\0 ab [emoji] emoji [an emoji] unbelievable", "x" * 150]
    found = Tokens(tokenizer, max_tokens=12)(texts)
    monkeypatch.setattr(library, "is_compiled", lambda: False)
    assert found == Tokens(tokenizer, max_tokens=12)(texts)


def test_bert_processing_and_other_added_tokens_are_supported() -> None:
    tokenizer = _add(AddedToken("[emoji]", normalized=False))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    _, counts, _, _ = build(tokenizer)(["a [emoji]", "a [Emoji]"])
    assert [-1, 8] == counts
    assert [101, 1037, 30522, 102] == list(Tokens(tokenizer, max_tokens=9)(["a [emoji]"])[0].ids)


@pytest.mark.parametrize(
    ("lengths", "max_tokens", "capacity"),
    [((5, 1), 8, 16), ((3, 1), 8, 16), ((-1, 5), 8, 16), ((2, 3), 1, 16), ((2, 3), 8, 9), ((2, 2**31 - 1), 8, 16)],
)
def test_numbers_out_of_range_are_refused(
    shipped_pieces: WordPiece, lengths: tuple[int, ...], max_tokens: int, capacity: int
) -> None:
    assert 0 > read(shipped_pieces, b"a b c", lengths, max_tokens=max_tokens, capacity=capacity)
    assert 0 == read(shipped_pieces, b"a b c", (2, 3), max_tokens=8, capacity=16)


@given(bytes_=st.binary(max_size=40))
@example(bytes_=b"\xf0\x9f")
@example(bytes_=b"\xff" * 9)
def test_bytes_that_are_not_utf_8_do_no_harm(shipped_pieces: WordPiece, bytes_: bytes) -> None:
    characters = max(1, sum(byte & 0xC0 != 0x80 for byte in bytes_[1:]) + 1) if bytes_ else 0
    assert 0 == read(shipped_pieces, bytes_, (characters,), max_tokens=8, capacity=8)


def read(pieces: WordPiece, utf8: bytes, lengths: tuple[int, ...], *, max_tokens: int, capacity: int) -> int:
    """Call the library as `WordPiece` does, but with these numbers, and return its result."""
    lengths_B, ids_T = np.array(lengths, np.int32), np.empty(capacity, np.int32)
    found_B3 = np.empty((len(lengths), 3), np.int32)
    vocabulary, arrays = pieces._pointer, (ids_T.ctypes.data, capacity, found_B3.ctypes.data)
    texts = (utf8, len(utf8), lengths_B.ctypes.data, len(lengths))
    found: int = library.load().emotag_wordpiece(vocabulary, *texts, MAX_CHARACTERS, max_tokens, *arrays)
    return found


@pytest.mark.parametrize(
    ("places", "ends", "size", "expected"),
    [(4, (1, 4), 4, 0), (2, (1, 4), 4, -1), (3, (1, 4), 4, -1), (4, (3, 1), 4, -1), (4, (1, 5), 4, -1), (0, (), 4, -1)],
)
def test_a_vocabulary_that_does_not_fit_is_refused(
    places: int, ends: tuple[int, ...], size: int, expected: int
) -> None:
    slots, ids, ends_P = np.zeros(4, wordpiece.SLOT), np.arange(2, dtype=np.int32), np.array(ends, np.int32)
    pieces = np.frombuffer(b"a##b", np.uint8)
    vocabulary = wordpiece.Vocabulary(slots=slots.ctypes.data, pieces=pieces.ctypes.data, places=places)
    fill = library.load().emotag_wordpiece_fill
    arrays = (ends_P.ctypes.data, ids.ctypes.data, len(ends), size)
    assert expected == fill(ctypes.addressof(vocabulary), b"##", *arrays)
    if not expected:
        assert [(0, 0, 1), (1, 1, 1)] == sorted((s["id"], s["inside"], s["length"]) for s in slots[slots["length"] > 0])
