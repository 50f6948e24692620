"""Emoji and emoticons, for tokenizers without tokens for them, such as uncased BERT's.

A text of emoji alone is replaced by words: 😡😡😡 becomes `angry furious`. Next to words, emoji stay unknown tokens,
because the labels of GoEmotions follow the words (decision 38). Blanks are put around them, so that an adjacent word
stays known.
"""

import re
from collections.abc import Callable, Collection

MEANINGS = {
    "admiration": "👏 🙌 🤩 👌 💯 🔥 👑 💎 🏆 🌟 ⭐ 😎 🤘 💅 🥇 🫡",
    "amusement": "😂 🤣 😆 😹 😜 😝 😛 🤪 💀 ☠ 😅 😁 🤡 😏 😉 xD XD :P ;P :'D :-P :p ;) ;-)",
    "anger": "😡 😠 🤬 👿 💢 🖕 😤 👊 🗯 😾 >:( >:-(",
    "annoyance": "🙄 😒 😑 😤 😾 🤦 😠 😩 😫 🙎 -_- :/ :-/ >_<",
    "approval": "👍 👌 ✅ ✔ 🤝 ☑ 👏 💪 ✊ 🙆 🤙",
    "caring": "🤗 🫂 🫶 💕 🙏 💗 🥰 💞 😘",
    "confusion": "🤔 😕 🤨 😵 🤷 ❓ 🥴 ❔ 🙃 o_O o_o :S",
    "curiosity": "🤔 👀 🧐 ❓ 🔍 🔎 ❔ 🤨",
    "desire": "🤤 😋 🥵 👅 💦 😏",
    "disappointment": "😞 😔 🙁 ☹ 😕 😩 😣 😖 😓 👎 😟 :( :-( :/",
    "disapproval": "👎 ❌ 🙅 🚫 😒 ✋ 🛑 😑",
    "disgust": "🤢 🤮 🤧 💩 🪳 😷 😖",
    "embarrassment": "😳 🙈 🫠 🤦 🫣 😬 😅",
    "excitement": "🎉 🥳 🤩 🎊 🙌 🚀 🔥 💃 🕺 😆 🎆 🎇 🤸 \\o/",
    "fear": "😱 😨 😰 👻 🙀 🫣 😧 😦 🔪",
    "gratitude": "🙏 💐 🤲 🙇",
    "grief": "💔 😭 🥀 ⚰ 🪦 </3",
    "joy": "😀 😃 😄 😁 😊 ☺ 🙂 😸 🥳 😺 😆 🤠 🎈 🌞 😇 🥂 🍾 🎂 🎁 💃 🕺 ☀ ✌ :) :-) =) :D :-D :') :3 ^_^ ^^ =D",
    "love": "❤ 😍 🥰 😘 💕 💖 💗 💓 💞 💘 💙 💚 💛 💜 🧡 🤎 🤍 🖤 ♥ ❣ 💝 😻 💋 💌 😚 😗 😙 💏 💑 🫶 🤟 💟 🌹 <3 :*",
    "nervousness": "😬 😰 😅 😟 😓 🥶",
    "optimism": "🤞 🍀 🌈 ✨ 💪 🌅 🌞 🙏",
    "pride": "🏆 🥇 😌 💪 🏅 🎖 🎓",
    "realization": "💡 🤯 😯 😲",
    "relief": "😌 😪 😥 🤗",
    "remorse": "😔 🙇 😣 😞 🥺",
    "sadness": "😢 😭 😿 💔 😞 😔 🥺 ☹ 🙁 😓 🥲 🙍 🤕 🌧 😥 :( :-( :'( ;_; T_T ;( D: =(",
    "surprise": "😮 😲 😯 😱 🤯 😳 ‼ ⁉ ❗ 🙀 :O :o O_O :-O",
    "neutral": "😐 😶 🫥 😴 🥱 📷 📌 📅 📎 ➡ ⬆ ⬇ :|",
}
"""Emoji and emoticons by label, the clearest first.

Written by hand, from the names in Unicode and from their use in GoEmotions' training split.
"""

WORDS = {
    "admiration": "amazing awesome great",
    "amusement": "funny lol haha",
    "anger": "angry furious",
    "annoyance": "annoying annoyed",
    "approval": "agree yes good",
    "caring": "care hug",
    "confusion": "confused",
    "curiosity": "curious wondering",
    "desire": "want wish",
    "disappointment": "disappointed disappointing",
    "disapproval": "disagree wrong",
    "disgust": "disgusting gross",
    "embarrassment": "embarrassed embarrassing",
    "excitement": "excited exciting",
    "fear": "scared afraid",
    "gratitude": "thanks thank",
    "grief": "mourning grief",
    "joy": "happy glad",
    "love": "love",
    "nervousness": "nervous anxious",
    "optimism": "hope hopefully",
    "pride": "proud",
    "realization": "realized",
    "relief": "relief relieved",
    "remorse": "sorry",
    "sadness": "sad crying",
    "surprise": "surprised wow omg",
    "neutral": "neutral",
}
"""English words that express each label. `has_words` checks the first one."""

TONES = "🏻🏼🏽🏾🏿"
"""Skin tones, which follow the emoji of a person or hand."""

GENDERS = "♀♂"
"""The signs that follow the emoji of a person after a zero-width joiner."""

_EMOJI = (
    "[\u203c\u2049\u2194-\u2199\u21a9\u21aa\u231a\u231b\u23e9-\u23f3\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u2668\u2670-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
"""Emoji, without skin tones, and without signs such as © and ♪ that say nothing alone."""

_TAIL = f"[\ufe0e\ufe0f{TONES}\U000e0020-\U000e007f]"
"""What may follow an emoji and belongs to it: its variants, skin tones and regions."""

Replacement = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
"""A pattern, and the function that replaces each place where it is found."""

DESCRIPTIONS = {
    sign: " ".join(WORDS[label] for label, signs in MEANINGS.items() if sign in signs.split())
    for sign in " ".join(MEANINGS.values()).split()
}
"""The words of each emoji and emoticon: those of all its labels."""

_EMOTICONS = sorted(filter(str.isascii, DESCRIPTIONS), key=len, reverse=True)
_LONGEST = len(_EMOTICONS[0])
_SIGN = re.compile(
    # A sequence of joined emoji means something else than its parts: 👩‍🚀 is no 🚀.
    rf"{_EMOJI}{_TAIL}*(?:\u200d{_EMOJI}{_TAIL}*)*|"
    # The longest first, with any number of its last character: `:)))`.
    + "|".join(f"{re.escape(sign)}{re.escape(sign[-1])}*" for sign in _EMOTICONS)
)
_SIGN_OR_RUN = re.compile(rf"{_SIGN.pattern}|([^\w\s])\1{{3,}}")
_BESIDES = re.compile(rf"{_TAIL}|\u200d[{GENDERS}]")
_KEYCAP = "\u20e3"
_RUN = re.compile(rf"(?:{_EMOJI}(?:{_TAIL}|[\u200d{_KEYCAP}])*)+")
_RUN_OR_KEYCAP = re.compile(rf"{_RUN.pattern}|\ufe0f?{_KEYCAP}")
_LETTER = re.compile(rf"[^\W\d_{''.join(sorted(set(filter(str.isalpha, ''.join(_EMOTICONS)))))}]")
"""A letter that occurs in no emoticon."""


def has_words(vocabulary: Collection[str]) -> bool:
    """Return True if a vocabulary lacks 😂, as one without emoji does, and has the first word of each label."""
    return "😂" not in vocabulary and all(words.split()[0] in vocabulary for words in WORDS.values())


def is_alone(text: str) -> bool:
    """Return True if a text has signs that have a description, and no letters or digits but theirs."""
    if _LETTER.search(text):  # nearly every text with words, in less than a microsecond
        return False
    if any(map(str.isalnum, _SIGN.sub("", text))):
        return False
    return any(_find_sign(found[0]) for found in _SIGN.finditer(text))


def describe(text: str) -> Replacement:
    """Return the replacement of the emoji and emoticons of a text by words.

    Each word comes once: 😡😡😡 becomes `angry furious`. Emoji without a description become blanks. Other runs of equal
    characters, as in `😡!!!!!!!!`, are cut to three, so that few texts are longer than a model's window.
    """
    seen: set[str] = set()

    def replace(found: re.Match[str]) -> str:
        if found[1]:
            return found[1] * 3
        words = [word for word in DESCRIPTIONS.get(_find_sign(found[0]), "").split() if word not in seen]
        seen.update(words)
        return f" {' '.join(words)} "

    return _SIGN_OR_RUN, replace


def separate(text: str) -> Replacement | None:
    """Return the replacement that puts blanks between the emoji of a text and all that touches them."""
    return None if text.isascii() else (_RUN_OR_KEYCAP, _separate)


def _separate(found: re.Match[str]) -> str:
    if found[0].endswith(_KEYCAP) and len(found[0]) <= 2:
        return " "  # the keycap of a digit, which stays
    first, end = found.span()
    neighbors = found.string[first - 1 : first], found.string[end : end + 1]
    before, after = ("" if neighbor in ("", " ") else " " for neighbor in neighbors)
    return f"{before}{found[0]}{after}"


def remove(text: str) -> str:
    """Return a text with a blank in place of each run of emoji."""
    return text if text.isascii() else _RUN.sub(" ", text)


def _find_sign(written: str) -> str:
    """Return the table's sign: without skin tones, variants, genders, and repeats of its last character.

    Empty for an emoji that the table does not have.
    """
    if not written.isascii():
        sign = _BESIDES.sub("", written)
        return sign if sign in DESCRIPTIONS else ""
    return next(written[:end] for end in range(_LONGEST, 0, -1) if written[:end] in DESCRIPTIONS)
