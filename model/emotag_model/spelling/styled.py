"""Letters and digits in another style, such as 𝓱𝓪𝓽𝓮, 🅷🅰🆃🅴 or ｈａｔｅ, and the plain ones that they stand for.

Each is one character in both forms, so places in a text stay the same.
"""

import re
import string
import unicodedata
from itertools import chain

_COMPATIBLE = (
    *(range(0x2100, 0x2139), range(0x213A, 0x2150)),  # ℎ; ℹ is an emoji
    *(range(0x24B6, 0x24EA), range(0xFF10, 0xFF5B), range(0x1D400, 0x1D800), range(0x1F130, 0x1F14A)),  # ⓗ, ｈ, 𝓱, 🄷
)
"""Letters whose plain form is in Unicode (NFKC). Others, such as small capitals, have none there."""

_NEGATIVE = (0x1F150, 0x1F170)
"""The code points of 🅐 and 🅰, white letters on black. B to Z follow."""

PLAIN = {
    code: plain
    for code in chain(*_COMPATIBLE)
    if (plain := unicodedata.normalize("NFKC", chr(code))).isascii() and len(plain) == 1 and plain.isalnum()
} | {first + number: letter for first in _NEGATIVE for number, letter in enumerate(string.ascii_uppercase)}
"""The plain form of each styled character, by its code point."""

# A few ranges around them: a pattern of each single character takes ten times as long.
_NEAR_STYLED = re.compile("[\u2100-\u24e9\uff10-\uff5a\U0001d400-\U0001d7ff\U0001f130-\U0001f189]")


def make_plain(text: str) -> str:
    """Return the text with plain letters and digits in place of styled ones."""
    return text.translate(PLAIN) if _NEAR_STYLED.search(text) else text
