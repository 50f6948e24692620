"""How to install the optional parts of emotag."""

from typing import Literal

ExtraName = Literal["cuda", "train", "trackers", "traces", "local"]


def explain_install(extra: ExtraName) -> str:
    """Return how to install an extra, for error messages: `in the clone of emotag, run: pip install …`.

    emotag is not on PyPI, where anyone could publish a package of that name.
    """
    return f"in the clone of emotag, run: pip install ./schemas '.[{extra}]'"
