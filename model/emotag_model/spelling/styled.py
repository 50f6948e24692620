"""Letters and digits in another style, such as 𝓱𝓪𝓽𝓮, 🅷🅰🆃🅴, ʰᵃᵗᵉ or ｈａｔｅ, and the plain ones that they stand for.

Cyrillic and Greek letters that hide a Latin word, such as a Cyrillic `а` in `hate`, become Latin ones too. Each is one
character in both forms, so places in a text stay the same.
"""

import re
import string
import unicodedata
from itertools import chain

_COMPATIBLE = (
    *(range(0x2B0, 0x2E5), range(0x1D2C, 0x1DC0), range(0x2071, 0x2072), range(0x207F, 0x2080)),  # ʰ, ᴴ, ⁱ, ⁿ
    *(range(0x2090, 0x209D), range(0x2C7C, 0x2C7E)),  # ₐ, ⱽ
    *(range(0x2100, 0x2139), range(0x213A, 0x2150)),  # ℎ; ℹ is an emoji
    *(range(0x24B6, 0x24EA), range(0xFF10, 0xFF5B), range(0x1D400, 0x1D800), range(0x1F130, 0x1F14A)),  # ⓗ, ｈ, 𝓱, 🄷
)
"""Letters and digits whose plain form is in Unicode (NFKC)."""

_SMALL_CAPITALS = zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)
"""Unicode has none for x."""

_NEGATIVE = (0x1F150, 0x1F170)
"""The code points of 🅐 and 🅰, white letters on black. B to Z follow."""

PLAIN = (
    {
        code: plain
        for code in chain(*_COMPATIBLE)
        if (plain := unicodedata.normalize("NFKC", chr(code))).isascii() and len(plain) == 1 and plain.isalnum()
    }
    | {ord(small): letter for small, letter in _SMALL_CAPITALS}
    | {first + number: letter for first in _NEGATIVE for number, letter in enumerate(string.ascii_uppercase)}
)
"""The plain form of each styled character, by its code point."""

# A few ranges around them: a pattern of each single character takes ten times as long.
_NEAR_STYLED = re.compile(
    "[\u0262-\u02e4\u1d00-\u1dbf\u2071-\u24e9\u2c7c\u2c7d\ua730-\ua7af\uff10-\uff5a\U0001d400-\U0001d7ff\U0001f130-\U0001f189]"
)

LOOKALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝӏғАВЕКМНОРСТХІЈЅУԚԜαονριΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwlfABEKMHOPCTXIJSYQWaovpiABEZHIKMNOPTYX",
)
"""The Latin letters that Cyrillic and Greek letters look like. People write ғ among small capitals."""

_NEAR_LOOKALIKE = re.compile("[\u0391-\u03c5\u0405-\u051d]")

_OTHERS = "".join(map(chr, LOOKALIKES))
_MIXED = re.compile(
    rf"(?<![^\W_])(?=[0-9{_OTHERS}]*[A-Za-z])(?=[A-Za-z0-9]*[{_OTHERS}])[A-Za-z0-9{_OTHERS}]+(?![^\W_])"
)
"""A word of Latin letters and lookalikes alone. Words of one script, and words with other letters, stay."""


def make_plain(text: str) -> str:
    """Return the text with plain letters and digits in place of styled ones and of lookalikes."""
    if _NEAR_STYLED.search(text):
        text = text.translate(PLAIN)
    if _NEAR_LOOKALIKE.search(text):
        text = _MIXED.sub(lambda word: word[0].translate(LOOKALIKES), text)
    return text
