"""Emoji as tokens of their own, in the unused places of BERT's vocabulary.

BERT's uncased vocabulary has almost no emoji: an emoji is one unknown token, together with the letters and emoji that
touch it. The new tokens need no place beyond the vocabulary, so the model does not grow. A token starts with the mean
embedding of the words that say what the emoji says, or, if the table does not know it, of the words of its name in
Unicode. Then it is trained like any other.
"""

import json
from collections.abc import Mapping

from tokenizers import Tokenizer
from torch import Tensor

from emotag_model.engines.native.wordpiece import BERT, PRE_TOKENIZERS
from emotag_model.spelling.emoji import describe
from emotag_training.augmentation.characters import list_emoji

UNUSED = "[unused"
EMBEDDINGS = "embeddings.word_embeddings.weight"


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
        if pieces := tokenizer.encode(describe(emoji), add_special_tokens=False).ids:
            table[number] = weights[EMBEDDINGS][pieces].mean(dim=0)
    return Tokenizer.from_str(json.dumps(parts)), {**weights, EMBEDDINGS: table}
