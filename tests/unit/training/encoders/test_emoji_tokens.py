"""Emoji as tokens of BERT's vocabulary."""

import json
import re
import unicodedata

import pytest
import torch
from tokenizers import Tokenizer

from emotag_model.engines.native.wordpiece import BERT, EMOJI, PRE_TOKENIZERS
from emotag_model.spelling.emoji import DESCRIPTIONS, GENDERS, TONES
from emotag_training.encoders.emoji_tokens import EMBEDDINGS, add_emoji, list_emoji
from tests.numerics.conftest import byte_level_tokenizer, unigram_tokenizer

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "i", "angry", "furious", "love", "crab", "can", "##e", "!")
UNUSED = 990


@pytest.fixture(scope="module")
def bert() -> Tokenizer:
    """A tokenizer like BERT's, with room."""
    from tokenizers import models, normalizers, pre_tokenizers

    pieces = [*WORDS, *(f"[unused{number}]" for number in range(UNUSED))]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@pytest.fixture(scope="module")
def weights(bert: Tokenizer) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {EMBEDDINGS: torch.randn(bert.get_vocab_size(), 8), "other": torch.ones(2)}


def test_an_emoji_is_a_token_next_to_anything(bert: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
    assert ["[UNK]"] == bert.encode("love😡😡", add_special_tokens=False).tokens
    knowing, _ = add_emoji(bert, weights)
    assert ["love", "😡", "😡", "!"] == knowing.encode("love😡😡!", add_special_tokens=False).tokens
    assert ["❤"] == knowing.encode("❤️", add_special_tokens=False).tokens
    assert ["👍", "🏽"] == knowing.encode("👍🏽", add_special_tokens=False).tokens
    assert ["🤷", "♀"] == knowing.encode("🤷‍♀️", add_special_tokens=False).tokens


def test_an_unknown_emoji_leaves_its_neighbours_alone(bert: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
    knowing, _ = add_emoji(bert, weights)
    assert ["love", "[UNK]", "😡"] == knowing.encode("love🚜😡", add_special_tokens=False).tokens


def test_the_vocabulary_keeps_its_size_and_its_other_pieces(bert: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
    knowing, _ = add_emoji(bert, weights)
    before, after = bert.get_vocab(), knowing.get_vocab()
    assert sorted(before.values()) == sorted(after.values())
    assert {word: before[word] for word in WORDS} == {word: after[word] for word in WORDS}


def test_an_embedding_starts_as_the_mean_of_words(bert: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
    """Of words that say the labels, or of the emoji's name."""
    knowing, changed = add_emoji(bert, weights)
    table, vocabulary = weights[EMBEDDINGS], bert.get_vocab()
    angry = table[[vocabulary["angry"], vocabulary["furious"]]].mean(dim=0)
    assert torch.equal(angry, changed[EMBEDDINGS][knowing.get_vocab()["😡"]])
    assert torch.equal(table[vocabulary["crab"]], changed[EMBEDDINGS][knowing.get_vocab()["🦀"]])
    assert torch.equal(table[: len(WORDS)], changed[EMBEDDINGS][: len(WORDS)])
    assert torch.equal(weights["other"], changed["other"])


def test_adding_twice_changes_nothing(bert: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
    once, changed = add_emoji(bert, weights)
    twice, again = add_emoji(once, changed)
    assert once.to_str() == twice.to_str()
    assert torch.equal(changed[EMBEDDINGS], again[EMBEDDINGS])
    assert PRE_TOKENIZERS[1] == json.loads(twice.to_str())["pre_tokenizer"] != BERT


@pytest.mark.parametrize("make", [byte_level_tokenizer, unigram_tokenizer])
def test_other_tokenizers_stay_as_they_are(make: object) -> None:
    tokenizer = make()  # type: ignore[operator]
    same, weights = add_emoji(tokenizer, {})
    assert (tokenizer, {}) == (same, weights)


def test_every_emoji_of_the_table_becomes_a_token_that_is_a_word_by_itself() -> None:
    emoji = list(list_emoji())
    assert len(emoji) == len(set(emoji))
    assert all(re.fullmatch(EMOJI, each) and unicodedata.name(each) for each in emoji)
    signs = {*DESCRIPTIONS, *TONES, *GENDERS}
    assert set() == {sign for sign in signs if not sign.isascii()} - set(emoji)
