"""The emoji that become tokens."""

import unicodedata
from collections.abc import Iterator

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


def list_emoji() -> Iterator[str]:
    """Yield each character that becomes a token: about 950, which have a name in Unicode."""
    for code in (code for block in BLOCKS for code in block):
        if unicodedata.name(chr(code), ""):
            yield chr(code)
    yield from SYMBOLS
