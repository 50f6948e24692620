"""The emoji that become tokens."""

import re
import unicodedata

from emotag_model.engines.native.wordpiece import EMOJI
from emotag_model.spelling.emoji import GENDERS, MEANINGS, TONES
from emotag_training.augmentation.characters import list_emoji


def test_every_emoji_of_the_table_becomes_a_token_that_is_a_word_by_itself() -> None:
    emoji = list(list_emoji())
    assert len(emoji) == len(set(emoji))
    assert all(re.fullmatch(EMOJI, each) and unicodedata.name(each) for each in emoji)
    signs = {sign for written in MEANINGS.values() for sign in written.split()} | {*TONES, *GENDERS}
    assert set() == {sign for sign in signs if not sign.isascii()} - set(emoji)
