"""Emoji and emoticons in a text whose tokenizer does not know them, as that of uncased BERT.

A text of emoji alone is replaced by words, 😡😡😡 by `angry furious`. Next to words, emoji stay unknown tokens, because
GoEmotions' annotators label the words, and so does the model (decision 38). They are only separated from the words:
otherwise a word that an emoji touches would be unknown too.
"""

import re
import unicodedata
from collections.abc import Callable, Collection

MEANINGS = {
    "admiration": "👏 🙌 🤩 👌 💯 🔥 👑 💎 🏆 🌟 ⭐ 😎 🤘 💅 🥇 🫡",
    "amusement": "😂 🤣 😆 😹 😜 😝 😛 🤪 💀 ☠ 😅 😁 🤡 😏 xD XD :P ;P :'D :-P",
    "anger": "😡 😠 🤬 👿 💢 🖕 😤 👊 🗯 😾 >:( >:-(",
    "annoyance": "🙄 😒 😑 😤 😾 🤦 😠 😩 😫 -_- :/ :-/",
    "approval": "👍 👌 ✅ ✔ 🤝 ☑ 👏 💪 ✊ 🙆 🤙",
    "caring": "🤗 🫂 💕 🙏 💗 🥰 💞 😘",
    "confusion": "🤔 😕 🤨 😵 🤷 ❓ 🥴 ❔ 🙃 o_O :S",
    "curiosity": "🤔 👀 🧐 ❓ 🔍 🔎 ❔ 🤨",
    "desire": "🤤 😋 🥵 👅 💦 😏",
    "disappointment": "😞 😔 🙁 ☹ 😕 😩 😣 😖 😓 👎 😟 :( :-( :/",
    "disapproval": "👎 ❌ 🙅 🚫 😒 ✋ 🛑 😑",
    "disgust": "🤢 🤮 🤧 💩 🪳 😷 😖",
    "embarrassment": "😳 🙈 🤦 🫣 😬 😅",
    "excitement": "🎉 🥳 🤩 🎊 🙌 🚀 🔥 💃 🕺 😆 🎆 🎇 🤸 \\o/",
    "fear": "😱 😨 😰 👻 🙀 🫣 😧 😦 🔪",
    "gratitude": "🙏 💐 🤲 🙇",
    "grief": "💔 😭 🥀 ⚰ 🪦",
    "joy": "😀 😃 😄 😁 😊 ☺ 🙂 😸 🥳 😺 😆 🤠 🎈 🌞 😇 💃 🕺 ☀ :) :-) :D :-D =) (: ^_^ ^^ =D",
    "love": "❤ 😍 🥰 😘 💕 💖 💗 💓 💞 💘 💙 💚 💛 💜 🧡 🤎 🤍 🖤 ♥ ❣ 💝 😻 💋 💌 😚 😗 😙 💏 💑 🌹 <3 :*",
    "nervousness": "😬 😰 😅 😟 😓 🥶",
    "optimism": "🤞 🍀 🌈 ✨ 💪 🌅 🌞 🙏",
    "pride": "🏆 🥇 😌 💪 🏅 🎖 🎓",
    "realization": "💡 🤯 😯 😲",
    "relief": "😌 😪 😥 🤗",
    "remorse": "😔 🙇 😣 😞 🥺",
    "sadness": "😢 😭 😿 💔 😞 😔 🥺 ☹ 🙁 😓 🥲 🌧 😥 :( :-( :'( ;_; T_T ;( D: =(",
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
}
"""Words that say a label. Those of `neutral` are the names of its emoji."""

TONES = "🏻🏼🏽🏾🏿"
"""Skin tones, which follow the emoji of a person or hand."""

GENDERS = "♀♂"
"""The signs that follow the emoji of a person after a zero-width joiner."""

EMOJI = (
    "[\u203c\u2049\u231a\u231b\u23e9-\u23f3\u2600-\u2668\u2670-\u27bf\u2b05-\u2b07\u2b50\u2b55"
    "\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
"""Emoji, without skin tones, and without signs such as © and ♪ that say nothing alone."""

SAYS_LITTLE = frozenset({"FACE", "WITH", "AND", "OF", "SIGN", "SYMBOL", "HEAVY", "BLACK", "WHITE", "SMILING"})
"""Words in the names of emoji. `BLACK` and `WHITE` are the names of filled and empty symbols."""

MOST_FREQUENT = "😂"
"""A vocabulary with this emoji has others too."""

Replacement = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
"""A pattern, and what replaces each place where it is found."""

_WORDS = {
    sign: " ".join(WORDS[label] for label, signs in MEANINGS.items() if label in WORDS and sign in signs.split())
    for sign in " ".join(MEANINGS.values()).split()
}
_EMOTICONS = "|".join(
    # The longest first, with any number of its last character: `:)))`.
    f"{re.escape(sign)}{re.escape(sign[-1])}*"
    for sign in sorted(filter(str.isascii, _WORDS), key=len, reverse=True)
)
_EMOJI_RUN = re.compile(rf"(?:{EMOJI}[\ufe0f\u200d{TONES}]*)+")
_SIGN = re.compile(rf"{EMOJI}(?:[\ufe0f{TONES}]|\u200d[{GENDERS}])*|(?<!\S)(?:{_EMOTICONS})(?!\S)")
_LETTERS = re.compile(r"[^\W\d_A-Z]{2}")
"""Two letters that no emoticon has next to each other."""


def describe(sign: str) -> str:
    """Return words that say what an emoji or emoticon says: those of its labels, or its name in Unicode.

    Empty for an emoji that is newer than Python's Unicode.
    """
    if words := _WORDS.get(sign):
        return words
    name = unicodedata.name(sign[0], "").replace("-", " ").split()
    return " ".join([word for word in name if word not in SAYS_LITTLE] or name).lower()


def needs_words(vocabulary: Collection[str]) -> bool:
    """Return True if a vocabulary has no emoji, and has the English words for them: the first ones of each label."""
    return MOST_FREQUENT not in vocabulary and all(words.split()[0] in vocabulary for words in WORDS.values())


def is_alone(text: str) -> bool:
    """Return True if a text has emoji or emoticons, and no letter apart from theirs."""
    if _LETTERS.search(text):  # nearly every text with words, in a tenth of the time
        return False
    rest, signs = _SIGN.subn("", text)
    return signs > 0 and not any(map(str.isalpha, rest))


def replace_signs(text: str) -> Replacement:
    """Return what puts words in place of the emoji and emoticons of a text.

    Only the first of equal signs has words: 😡😡😡 says what 😡 says.
    """
    seen = set()

    def replace(found: re.Match[str]) -> str:
        sign = _find_sign(found[0])
        words = describe(sign)
        if not words:
            return found[0]
        is_new = sign not in seen
        seen.add(sign)
        return f" {words} " if is_new else " "

    return _SIGN, replace


def separate(text: str) -> Replacement | None:
    """Return what puts blanks between the emoji of a text and the words that they touch."""
    return None if text.isascii() else (_EMOJI_RUN, _separate)


def _separate(found: re.Match[str]) -> str:
    first, end = found.span()
    neighbors = found.string[first - 1 : first] + found.string[end : end + 1]
    return f" {found[0]} " if any(map(str.isalnum, neighbors)) else found[0]


def remove(text: str) -> str:
    """Return a text with a blank in place of each run of emoji."""
    return text if text.isascii() else _EMOJI_RUN.sub(" ", text)


def _find_sign(written: str) -> str:
    """Return the sign without what follows it: tones, or more of its last character."""
    if not written.isascii():
        return written[0]
    return next(written[:end] for end in range(len(written), 0, -1) if written[:end] in _WORDS)
