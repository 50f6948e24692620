"""Stands in for the library that detects languages: a GPU machine may lack it, and no part calls it."""


def load_model(path: str) -> None:
    """Load nothing."""
