"""Styled letters and digits become plain, one character for one."""

import time

import pytest

from emotag_model.spelling.styled import PLAIN, make_plain


@pytest.mark.parametrize(
    "text",
    [
        *("𝐇𝐚𝐭𝐞 𝟏𝟎", "𝐻𝑎𝑡𝑒 𝟙𝟘", "ℋ𝒶𝓉ℯ 𝟷𝟶", "𝓗𝓪𝓽𝓮 𝟭𝟬", "ℌ𝔞𝔱𝔢 10", "ℍ𝕒𝕥𝕖 10", "𝕳𝖆𝖙𝖊 10", "𝖧𝖺𝗍𝖾 10", "𝗛𝗮𝘁𝗲 10"),
        *("Ｈａｔｅ １０", "Ⓗⓐⓣⓔ 10"),
    ],
)
def test_every_style_becomes_plain(text: str) -> None:
    assert "Hate 10" == make_plain(text)


@pytest.mark.parametrize("text", ["🄷🄰🅃🄴", "🅗🅐🅣🅔", "🅷🅰🆃🅴", "ℍ𝔸𝕋𝔼"])
def test_capitals_in_frames_become_plain(text: str) -> None:
    assert "HATE" == make_plain(text)


@pytest.mark.parametrize("text", ["", "Hate 10", "né ② m² ﬁ ！ Ω 𝛼 ™ ℹ️ ❤️ 中文", "\ud83d"])
def test_other_characters_stay(text: str) -> None:
    assert text == make_plain(text)


def test_each_plain_form_is_a_letter_or_digit_and_stays_as_it_is() -> None:
    assert set(PLAIN.values()) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    assert not set(map(ord, PLAIN.values())) & set(PLAIN)
    assert [] == [code for code, plain in PLAIN.items() if make_plain(chr(code)) != plain]


def test_a_long_text_takes_milliseconds_per_hundred_thousand_characters() -> None:
    begin = time.process_time()
    make_plain("𝓱" * 1_000_000)
    assert time.process_time() - begin < 1
