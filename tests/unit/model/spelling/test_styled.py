"""Styled letters and digits become plain, one character for one."""

import time
import unicodedata

import pytest

from emotag_model.spelling.styled import LOOKALIKES, PLAIN, make_plain


@pytest.mark.parametrize(
    "text",
    [
        *("𝐇𝐚𝐭𝐞 𝟏𝟎", "𝐻𝑎𝑡𝑒 𝟙𝟘", "ℋ𝒶𝓉ℯ 𝟷𝟶", "𝓗𝓪𝓽𝓮 𝟭𝟬", "ℌ𝔞𝔱𝔢 10", "ℍ𝕒𝕥𝕖 10", "𝕳𝖆𝖙𝖊 10", "𝖧𝖺𝗍𝖾 10", "𝗛𝗮𝘁𝗲 10"),
        *("Ｈａｔｅ １０", "Ⓗⓐⓣⓔ 10", "ᴴᵃᵗᵉ 10", "Hₐₜₑ 10", "Hᴀᴛᴇ 10", "H\u0430t\u0435 10", "\u041d\u0430t\u0435 10"),
    ],
)
def test_every_style_becomes_plain(text: str) -> None:
    assert "Hate 10" == make_plain(text)


@pytest.mark.parametrize("text", ["🄷🄰🅃🄴", "🅗🅐🅣🅔", "🅷🅰🆃🅴", "ℍ𝔸𝕋𝔼"])
def test_capitals_in_frames_become_plain(text: str) -> None:
    assert "HATE" == make_plain(text)


@pytest.mark.parametrize("text", ["", "Hate 10", "né ② m² 2⁴ ﬁ ！ Ω 𝛼 ™ ℹ️ ❤️ 中文", "\ud83d"])
def test_other_characters_stay(text: str) -> None:
    assert text == make_plain(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I h\u0430t\u0435 y\u043eu!", "I hate you!"),  # Cyrillic
        ("H\u03bfpe, L\u039fVE", "Hope, LOVE"),  # Greek
        ("h4t\u0435_me 𝓱\u0430te", "h4te_me hate"),
        ("\u04ba\u0430te2", "\u04ba\u0430te2"),  # no letter looks like the first one
    ],
)
def test_letters_of_other_scripts_become_latin_in_a_latin_word(text: str, plain: str) -> None:
    assert plain == make_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u0421\u043f\u0430\u0441\u0438\u0431\u043e",
        "\u0440\u0430",
        "10\u0441",
        "mail\u043e\u043c",
        "\u0394x",
        "n\u0430\u00efve",
        "\u03b1",
    ],
)
def test_words_of_one_script_or_with_other_letters_stay(text: str) -> None:
    assert text == make_plain(text)


def test_the_usual_lookalikes_become_their_letters() -> None:
    assert "xaeopcyxi" == make_plain("x\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456")


def test_lookalikes_are_letters_of_other_scripts_and_become_latin_ones() -> None:
    for code, letter in LOOKALIKES.items():
        assert unicodedata.name(chr(code)).startswith(("CYRILLIC", "GREEK"))
        assert letter < 128
        assert chr(letter).isalpha()
        assert chr(code).isupper() == chr(letter).isupper()


def test_each_plain_form_is_a_letter_or_digit_and_stays_as_it_is() -> None:
    assert set(PLAIN.values()) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    assert not set(map(ord, PLAIN.values())) & set(PLAIN)
    assert [] == [code for code, plain in PLAIN.items() if make_plain(chr(code)) != plain]


@pytest.mark.parametrize("part", ["𝓱", "h\u0430", "\u0430", "h\u0430\u043c", "h\u0430 "])
def test_a_long_text_takes_milliseconds_per_hundred_thousand_characters(part: str) -> None:
    begin = time.process_time()
    make_plain(part * (1_000_000 // len(part)))
    assert time.process_time() - begin < 1
