"""The meaning of emoji and emoticons, in GoEmotions' labels. With other labels, only the training texts count.

The table was written by hand from the names of the emoji in Unicode and from their use in GoEmotions' training split.
"""

import unicodedata
from collections.abc import Iterator

MEANINGS = {
    "admiration": "👏 🙌 🤩 👌 💯 🔥 👑 💎 🏆 🌟 ⭐ 😎 🤘 💅 🥇 🫡",
    "amusement": "😂 🤣 😆 😹 😜 😝 😛 🤪 💀 ☠ 😅 😁 🤡 😏 xD XD :P ;P :'D :-P",
    "anger": "😡 😠 🤬 👿 💢 🖕 😤 👊 🗯 😾 >:( >:-(",
    "annoyance": "🙄 😒 😑 😤 😾 🤦 😠 😩 😫 -_- :/ :-/",
    "approval": "👍 👌 ✅ ✔ 🤝 ☑ 👏 💪 ✊ 🙆 🤙",
    "caring": "🤗 🫂 💕 🙏 💗 🥰 💞 😘",
    "confusion": "🤔 😕 🤨 😵 🤷 ❓ 🥴 ❔ 🙃 o_O :S",
    "curiosity": "🤔 👀 🧐 ❓ 🔍 🔎 ❔ 🤨",
    "desire": "🤤 😋 🥵 👅 💦 😏 😍",
    "disappointment": "😞 😔 🙁 ☹ 😕 😩 😣 😖 😓 👎 😟 :( :-( :/",
    "disapproval": "👎 ❌ 🙅 🚫 😒 ✋ 🛑 😑",
    "disgust": "🤢 🤮 🤧 💩 🪳 😷 😖",
    "embarrassment": "😳 🙈 🤦 🫣 😬 😅",
    "excitement": "🎉 🥳 🤩 🎊 🙌 🚀 🔥 💃 🕺 😆 🎆 🎇 🤸 \\o/",
    "fear": "😱 😨 😰 👻 🙀 🫣 😧 😦 🔪",
    "gratitude": "🙏 💐 🤲 🙇",
    "grief": "💔 😭 🥀 ⚰ 🪦 🖤",
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
    "amusement": "lol funny haha",
    "anger": "angry furious",
    "annoyance": "annoying annoyed",
    "approval": "agree yes good",
    "caring": "care hug",
    "confusion": "confused",
    "curiosity": "curious wondering",
    "desire": "want wish",
    "disappointment": "disappointed disappointing",
    "disapproval": "no wrong disagree",
    "disgust": "disgusting gross",
    "embarrassment": "embarrassed embarrassing",
    "excitement": "excited exciting",
    "fear": "scared afraid",
    "gratitude": "thanks thank",
    "grief": "grief mourning",
    "joy": "happy glad",
    "love": "love",
    "nervousness": "nervous anxious",
    "optimism": "hope hopefully",
    "pride": "proud",
    "realization": "realized",
    "relief": "relieved",
    "remorse": "sorry",
    "sadness": "sad crying",
    "surprise": "surprised wow omg",
    "neutral": "the",
}
"""Words that say a label, for the first embedding of an emoji."""

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

TONES = "🏻🏼🏽🏾🏿"
"""Skin tones, which follow the emoji of a person or hand."""

GENDERS = "♀♂"
"""The signs that follow the emoji of a person after a zero-width joiner."""


def list_emoji() -> Iterator[str]:
    """Yield each character that becomes a token: about 950, which have a name in Unicode."""
    for code in (code for block in BLOCKS for code in block):
        if unicodedata.name(chr(code), ""):
            yield chr(code)
    yield from SYMBOLS
