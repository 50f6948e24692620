"""Emoji and emoticons in a text whose tokenizer does not know them, as that of uncased BERT.

A text of emoji alone is replaced by words, 😡😡😡 by `angry furious`. Next to words, emoji stay unknown tokens, because
GoEmotions' annotators label the words, and so does the model (decision 38). They are only separated from the words:
otherwise a word that an emoji touches would be unknown too.
"""

import re
from collections.abc import Callable, Collection

MEANINGS = {
    "admiration": "👏 🙌 🤩 👌 💯 🔥 👑 💎 🏆 🌟 ⭐ 😎 🤘 💅 🥇 🫡",
    "amusement": "😂 🤣 😆 😹 😜 😝 😛 🤪 💀 ☠ 😅 😁 🤡 😏 😉 xD XD :P ;P :'D :-P",
    "anger": "😡 😠 🤬 👿 💢 🖕 😤 👊 🗯 😾 >:( >:-(",
    "annoyance": "🙄 😒 😑 😤 😾 🤦 😠 😩 😫 🙎 -_- :/ :-/",
    "approval": "👍 👌 ✅ ✔ 🤝 ☑ 👏 💪 ✊ 🙆 🤙",
    "caring": "🤗 🫂 🫶 💕 🙏 💗 🥰 💞 😘",
    "confusion": "🤔 😕 🤨 😵 🤷 ❓ 🥴 ❔ 🙃 o_O :S",
    "curiosity": "🤔 👀 🧐 ❓ 🔍 🔎 ❔ 🤨",
    "desire": "🤤 😋 🥵 👅 💦 😏",
    "disappointment": "😞 😔 🙁 ☹ 😕 😩 😣 😖 😓 👎 😟 :( :-( :/",
    "disapproval": "👎 ❌ 🙅 🚫 😒 ✋ 🛑 😑",
    "disgust": "🤢 🤮 🤧 💩 🪳 😷 😖",
    "embarrassment": "😳 🙈 🫠 🤦 🫣 😬 😅",
    "excitement": "🎉 🥳 🤩 🎊 🙌 🚀 🔥 💃 🕺 😆 🎆 🎇 🤸 \\o/",
    "fear": "😱 😨 😰 👻 🙀 🫣 😧 😦 🔪",
    "gratitude": "🙏 💐 🤲 🙇",
    "grief": "💔 😭 🥀 ⚰ 🪦",
    "joy": "😀 😃 😄 😁 😊 ☺ 🙂 😸 🥳 😺 😆 🤠 🎈 🌞 😇 🥂 🍾 🎂 🎁 💃 🕺 ☀ ✌ :) :-) :D :-D =) (: ^_^ ^^ =D",
    "love": "❤ 😍 🥰 😘 💕 💖 💗 💓 💞 💘 💙 💚 💛 💜 🧡 🤎 🤍 🖤 ♥ ❣ 💝 😻 💋 💌 😚 😗 😙 💏 💑 🫶 🤟 💟 🌹 <3 :*",
    "nervousness": "😬 😰 😅 😟 😓 🥶",
    "optimism": "🤞 🍀 🌈 ✨ 💪 🌅 🌞 🙏",
    "pride": "🏆 🥇 😌 💪 🏅 🎖 🎓",
    "realization": "💡 🤯 😯 😲",
    "relief": "😌 😪 😥 🤗",
    "remorse": "😔 🙇 😣 😞 🥺",
    "sadness": "😢 😭 😿 💔 😞 😔 🥺 ☹ 🙁 😓 🥲 🙍 🤕 🌧 😥 :( :-( :'( ;_; T_T ;( D: =(",
    "surprise": "😮 😲 😯 😱 🤯 😳 ‼ ⁉ ❗ 🙀 :O :o O_O :-O",
    "neutral": "😐 😶 🫥 😴 🥱 📷 📌 📅 📎 ➡ ⬆ ⬇",
}
"""Emoji and emoticons by label, those that say it most clearly first."""

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
"""Words that say a label."""

TONES = "🏻🏼🏽🏾🏿"
"""Skin tones, which follow the emoji of a person or hand."""

GENDERS = "♀♂"
"""The signs that follow the emoji of a person after a zero-width joiner."""

_EMOJI = (
    "[\u203c\u2049\u231a\u231b\u23e9-\u23f3\u2600-\u2668\u2670-\u27bf\u2b05-\u2b07\u2b50\u2b55"
    "\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
"""Emoji, without skin tones, and without signs such as © and ♪ that say nothing alone."""

MOST_FREQUENT = "😂"
"""A vocabulary with this emoji has others too."""

Replacement = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
"""A pattern, and the function that replaces each place where it is found."""

DESCRIPTIONS = {
    sign: " ".join(WORDS[label] for label, signs in MEANINGS.items() if sign in signs.split())
    for sign in " ".join(MEANINGS.values()).split()
}
"""The words of each emoji and emoticon: those of all its labels."""

_LONGEST = max(map(len, DESCRIPTIONS))
_EMOTICONS = "|".join(
    # The longest first, with any number of its last character: `:)))`.
    f"{re.escape(sign)}{re.escape(sign[-1])}*"
    for sign in sorted(filter(str.isascii, DESCRIPTIONS), key=len, reverse=True)
)
_SIGN = re.compile(
    rf"[{''.join(sign for sign in DESCRIPTIONS if not sign.isascii())}](?:[\ufe0e\ufe0f{TONES}]|\u200d[{GENDERS}])*"
    rf"|(?<!\w)(?:{_EMOTICONS})(?!\w)"
)
_EMOJI_RUN = re.compile(rf"(?:{_EMOJI}[\u200d\u20e3\ufe0e\ufe0f{TONES}\U000e0020-\U000e007f]*)+")
_LETTERS = re.compile(r"[^\W\d_A-Zo]{2}")
"""Two letters that no emoticon has next to each other, also with its last character repeated."""


def has_words(vocabulary: Collection[str]) -> bool:
    """Return True if a vocabulary has no emoji, and has English words for them: the first word of each label."""
    return MOST_FREQUENT not in vocabulary and all(words.split()[0] in vocabulary for words in WORDS.values())


def is_alone(text: str) -> bool:
    """Return True if a text has signs that have a description, and neither letters nor digits besides."""
    if _LETTERS.search(text):  # nearly every text with words, in a tenth of the time
        return False
    rest, signs = _SIGN.subn("", text)
    return signs > 0 and not any(map(str.isalnum, rest))


def describe(text: str) -> Replacement:
    """Return the replacement of the emoji and emoticons of a text by words.

    Only the first of equal signs has words: 😡😡😡 has those of 😡, once.
    """
    seen = set()

    def replace(found: re.Match[str]) -> str:
        sign = _find_sign(found[0])
        is_new = sign not in seen
        seen.add(sign)
        return f" {DESCRIPTIONS[sign]} " if is_new else " "

    return _SIGN, replace


def separate(text: str) -> Replacement | None:
    """Return the replacement that puts blanks between the emoji of a text and all that touches them."""
    return None if text.isascii() else (_EMOJI_RUN, _separate)


def _separate(found: re.Match[str]) -> str:
    first, end = found.span()
    neighbors = found.string[first - 1 : first], found.string[end : end + 1]
    before, after = ("" if neighbor in ("", " ") else " " for neighbor in neighbors)
    return f"{before}{found[0]}{after}"


def remove(text: str) -> str:
    """Return a text with a blank in place of each run of emoji."""
    return text if text.isascii() else _EMOJI_RUN.sub(" ", text)


def _find_sign(written: str) -> str:
    """Return the sign of the table, without what follows it: tones, or more of its last character."""
    if not written.isascii():
        return written[0]
    return next(written[:end] for end in range(_LONGEST, 0, -1) if written[:end] in DESCRIPTIONS)
