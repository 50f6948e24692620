"""The table of what emoji say."""

import re
import unicodedata

from emotag_model.engines.native.wordpiece import EMOJI
from emotag_schemas.labels import LABELS
from emotag_training.augmentation.meanings import GENDERS, MEANINGS, TONES, WORDS, list_emoji


def test_every_label_has_signs_and_words_and_no_other_name_has() -> None:
    assert set(LABELS) == set(MEANINGS) == set(WORDS)


def test_no_sign_is_twice_under_one_label() -> None:
    for signs in MEANINGS.values():
        assert len(signs.split()) == len(set(signs.split()))


def test_every_emoji_of_the_table_becomes_a_token_that_is_a_word_by_itself() -> None:
    emoji = list(list_emoji())
    assert len(emoji) == len(set(emoji))
    assert all(re.fullmatch(EMOJI, each) and unicodedata.name(each) for each in emoji)
    signs = {sign for written in MEANINGS.values() for sign in written.split()} | {*TONES, *GENDERS}
    assert set() == {sign for sign in signs if not sign.isascii()} - set(emoji)
