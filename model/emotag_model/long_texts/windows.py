"""Split texts that are longer than the model's window into overlapping windows, and join the windows' probabilities."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from emotag_model.tokens import MAX_CHARACTERS, TokenIds, Tokens, Window, normalize

NEUTRAL = "neutral"
"""The label of a text without emotion."""

WINDOW_TOKENS = 64
"""Tokens of a window, special tokens included, or the model's window if that is smaller. The model was trained on short
texts: two windows of this length show more emotions than one of 128 tokens, at the same cost (decision 35)."""

MOST_WINDOWS = 64
"""Windows of one text. The rest of a longer text is not read, so that one text cannot hold up the stream."""

FITTING_TOKENS, FITTING_BYTES, WINDOW_BYTES = 126, 560, 256
"""A text is hardly split up to this many characters, or weighted bytes; and the weighted bytes of a typical window."""

OVERLAP = 16
"""Tokens of a window that the next one repeats if a sentence continues there."""

_SENTENCE_END = re.compile(r"[.!?…][.!?…\"'”’)\]]*|[。！？]+[」』”’]*")
"""Without a condition on what follows: each search would read a long run of marks again."""
_ENDS_ALONE = "。！？"
"""Marks after which a sentence ends even if no blank follows."""


def read_windows(tokens: Tokens, text: str) -> TokenIds:
    """Return the windows of a text that is longer than the model's window.

    Args:
        tokens: the tokenizer.
        text: as the user wrote it.
    """
    normalized = normalize(text)
    read = normalized[:MAX_CHARACTERS]
    most_tokens = min(tokens.max_tokens, WINDOW_TOKENS) - 2
    cut = split(read, tokens.find_starts(read), lambda part: tokens([part], are_parts=True)[0], most_tokens=most_tokens)
    windows = tuple(islice(cut, MOST_WINDOWS))
    first, end = windows[0].tokens, windows[-1].end
    truncated = end < len(normalized) or any(window.tokens.truncated for window in windows)
    if len(windows) == 1:  # a huge text of few tokens
        return TokenIds(first.ids, truncated, first.unknown)
    return TokenIds(first.ids, truncated, sum(window.tokens.unknown for window in windows), windows)


def estimate_windows(text: str) -> int:
    """Return about how many windows a text has, at least one, without tokenizing the text.

    An ASCII character weighs one byte. Others have more tokens per character, and weigh 2.5 (é), 4 (中) or 5.5 bytes.
    """
    read = text[:MAX_CHARACTERS]
    weight = len(read) if read.isascii() else (3 * len(read.encode(errors="surrogatepass")) - len(read)) // 2
    if len(text) <= FITTING_TOKENS or weight <= FITTING_BYTES:
        return 1
    return min(1 + weight // WINDOW_BYTES, MOST_WINDOWS)


def split(
    text: str,
    starts: Sequence[int],
    read: Callable[[str], TokenIds],
    *,
    most_tokens: int,
    overlap: int = OVERLAP,
) -> Iterator[Window]:
    """Yield the windows of a text, in order, without gaps except for a blank.

    The windows have similar lengths. A window ends at the end of a sentence if one is near, otherwise at the end of a
    word, or, without blanks, at the end of a token. If a sentence continues after a window, the next window repeats its
    last tokens.

    Args:
        text: a normalized text.
        starts: the first character of each of its tokens, in rising order.
        read: returns the tokens of a part of the text.
        most_tokens: of one window, without special tokens.
        overlap: as `OVERLAP`.
    """
    cuts = _Cuts(text, starts, most_tokens=most_tokens, overlap=min(overlap, most_tokens // 4))
    start = reached = 0
    while reached < len(text):
        end = cuts.find_end(start)
        tokens = read(text[start:end])
        # Alone, a part can have more tokens than within its text, for example after a correction of its spelling.
        while tokens.truncated and end - start > 1:
            end = cuts.halve(start, end)
            tokens = read(text[start:end])
        if end <= reached:  # nothing but the end of the window before is left
            start = cuts.skip_blank(reached)
            continue
        yield Window(start, end, tokens)
        if end == len(text):
            return
        start, reached = cuts.find_next_start(start, end), end


def join_texts(
    texts: Sequence[TokenIds], rows_NK: npt.NDArray[np.float32], labels: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Return the probabilities of each text, [B, K], from those of the rows of all texts."""
    long = [number for number, text in enumerate(texts) if text.windows]
    if not long:
        return rows_NK
    ends = np.cumsum([len(text.rows) for text in texts])
    joined_BK: npt.NDArray[np.float32] = rows_NK[ends - 1]
    for number in long:
        end = ends[number]
        joined_BK[number] = join_windows(rows_NK[end - len(texts[number].windows) : end], labels)
    return joined_BK


def join_windows(probabilities_WK: npt.NDArray[np.float32], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the probabilities of a text, [K], from those of its windows, [W, K].

    A text has a label if a part of it has the label: the maximum. It is neutral only if all parts are: the minimum.
    Decision 35 compares other rules.
    """
    joined_K: npt.NDArray[np.float32] = probabilities_WK[
        find_deciding_windows(probabilities_WK, labels), np.arange(len(labels))
    ]
    return joined_K


def find_deciding_windows(probabilities_WK: npt.NDArray[np.float32], labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the number of the window that each label's joined probability comes from, [K]; the first of equal ones."""
    windows_K: npt.NDArray[np.intp] = probabilities_WK.argmax(axis=0)
    if NEUTRAL in labels:
        neutral = labels.index(NEUTRAL)
        windows_K[neutral] = probabilities_WK[:, neutral].argmin()
    return windows_K


class _Cuts:
    """The places at which a text can be cut; see `split`."""

    def __init__(self, text: str, starts: Sequence[int], *, most_tokens: int, overlap: int) -> None:
        self._text = text
        self._starts = starts
        self._ends = [
            found.end()
            for found in _SENTENCE_END.finditer(text)
            if text.startswith(" ", found.end()) or text[found.start()] in _ENDS_ALONE
        ]
        self._most_tokens = most_tokens
        self._overlap = overlap

    def find_end(self, start: int) -> int:
        """Return the end of the window that begins at *start*."""
        text, first, overlap = self._text, bisect_left(self._starts, start), self._overlap
        if (remaining := len(self._starts) - first) <= self._most_tokens:
            return len(text)
        windows = -(-(remaining - overlap) // (self._most_tokens - overlap))
        wanted = -(-(remaining + (windows - 1) * overlap) // windows)
        # Several tokens can begin at one character, and a window must not be empty.
        least, target, most = (
            max(self._starts[first + count], start + 1) for count in (wanted // 2, wanted, self._most_tokens)
        )
        if near := self._ends[bisect_right(self._ends, least) : bisect_right(self._ends, most)]:
            return min(near, key=lambda end: abs(end - target))
        if (blank := text.rfind(" ", least, target + 1)) >= 0 or (blank := text.find(" ", target, most + 1)) >= 0:
            return blank
        return target

    def find_next_start(self, start: int, end: int) -> int:
        """Return the start of the window after the one from *start* to *end*: its end, or some tokens before."""
        place = bisect_left(self._ends, end)
        if not self._overlap or self._ends[place : place + 1] == [end]:
            return self.skip_blank(end)
        earliest = max(self._starts[max(0, bisect_left(self._starts, end) - self._overlap)], start + 1)
        blank = self._text.find(" ", earliest - 1, end)
        return earliest if blank < 0 else blank + 1

    def halve(self, start: int, end: int) -> int:
        """Return an end in the middle of a window, after a word if there is a blank in the second half."""
        middle = (start + end) // 2
        blank = self._text.find(" ", middle, end)
        return max(middle, start + 1) if blank <= start else blank

    def skip_blank(self, at: int) -> int:
        """Return the place of the next character that is not a blank."""
        return at + 1 if self._text.startswith(" ", at) else at
