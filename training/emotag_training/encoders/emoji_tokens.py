"""Emoji as tokens of their own, in the unused places of BERT's vocabulary.

BERT's uncased vocabulary has almost no emoji: an emoji is one unknown token, together with the letters and emoji that
touch it. The new tokens need no place beyond the vocabulary, so the model does not grow. A token starts with the mean
embedding of the words that say what the emoji says, or, if the table does not know it, of the words of its name in
Unicode. Then it is trained like any other.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping

from tokenizers import Tokenizer
from torch import Tensor

from emotag_model.engines.native.wordpiece import BERT, PRE_TOKENIZERS
from emotag_model.spelling.emoji import DESCRIPTIONS

UNUSED = "[unused"
EMBEDDINGS = "embeddings.word_embeddings.weight"

SAYS_LITTLE = frozenset({"FACE", "WITH", "AND", "OF", "SIGN", "SYMBOL", "HEAVY", "BLACK", "WHITE", "SMILING"})
"""Words in the names of emoji. `BLACK` and `WHITE` are the names of filled and empty symbols."""

BLOCKS = (
    *(range(0x1F300, 0x1F3FB), range(0x1F3FB, 0x1F400), range(0x1F400, 0x1F4B0)),
    *(range(0x1F50D, 0x1F50F), range(0x1F525, 0x1F526), range(0x1F52A, 0x1F52B)),
    *(range(0x1F57A, 0x1F57B), range(0x1F590, 0x1F591), range(0x1F595, 0x1F597), range(0x1F5A4, 0x1F5A5)),
    *(range(0x1F5EF, 0x1F5F0), range(0x1F600, 0x1F650), range(0x1F680, 0x1F681), range(0x1F6A8, 0x1F6A9)),
    *(range(0x1F6AB, 0x1F6AC), range(0x1F6D1, 0x1F6D2), range(0x1F7E0, 0x1F7EC), range(0x1F90C, 0x1FA00)),
    range(0x1FA70, 0x1FAF9),
)
"""Unicode's blocks of emoji. Most of transport, office and signs are left out: BERT has 994 unused places."""

SYMBOLS = (
    "☀☁☂☃☔☕☘☝☠☢☣☮☯☹☺♀♂♥♦♠♣♡♪♫♻⚠⚡⚽⚾⚰⛄⛔✅✈✉✊✋✌✍✔✖✨❄"
    "❌❎❓❔❕❗❣❤➕➖➡⬅⬆⬇⭐⭕‼⁉©®☑⛅⏰⌛⏳⚔⚖⚙📷📌📅📎📱💻📈📉📖📚📝📢🔔💰💸"
)
"""Emoji among older symbols."""


def add_emoji(tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> tuple[Tokenizer, dict[str, Tensor]]:
    """Return a tokenizer that knows emoji, and the encoder's weights with their embeddings.

    A tokenizer that cuts texts in another way than uncased BERT, or that knows the emoji already, stays as it is.

    Args:
        weights: of an encoder, by DistilBERT's names.
    """
    parts = json.loads(tokenizer.to_str())
    vocabulary = parts["model"].get("vocab")
    if parts["pre_tokenizer"] != BERT or not isinstance(vocabulary, dict):
        return tokenizer, dict(weights)
    places = [(piece, number) for piece, number in vocabulary.items() if piece.startswith(UNUSED)]
    new = [emoji for emoji in list_emoji() if emoji not in vocabulary]
    table = weights[EMBEDDINGS].clone()
    ids = {}
    for emoji, (piece, number) in zip(new, places, strict=False):
        del vocabulary[piece]
        vocabulary[emoji] = ids[emoji] = number
    parts["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    parts["pre_tokenizer"] = PRE_TOKENIZERS[1]
    for emoji, number in ids.items():
        if pieces := tokenizer.encode(_describe(emoji), add_special_tokens=False).ids:
            table[number] = weights[EMBEDDINGS][pieces].mean(dim=0)
    return Tokenizer.from_str(json.dumps(parts)), {**weights, EMBEDDINGS: table}


def list_emoji() -> Iterator[str]:
    """Yield each character that becomes a token: about 950, which have a name in Unicode."""
    for code in (code for block in BLOCKS for code in block):
        if unicodedata.name(chr(code), ""):
            yield chr(code)
    yield from SYMBOLS


def _describe(emoji: str) -> str:
    """Return words that say the same as an emoji: those of its labels, or its name in Unicode."""
    if words := DESCRIPTIONS.get(emoji):
        return words
    name = unicodedata.name(emoji).replace("-", " ").split()
    return " ".join([word for word in name if word not in SAYS_LITTLE] or name).lower()
