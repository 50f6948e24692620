"""The ways of reading a long text. Settings import this module, so it imports nothing that takes time."""

from typing import Literal

LongTexts = Literal["windows", "first"]
"""Read texts that are longer than the model's window in windows, or only their beginning."""
