"""The error tree has one root."""

from typing import TypeVar

from emotag_model.errors import ModelError
from emotag_worker import errors
from emotag_worker.errors import WorkerError

Kind = TypeVar("Kind", bound=Exception)


def kinds_under(kind: type[Kind]) -> list[type[Kind]]:
    """A class and every class under it."""
    return [kind, *(found for child in kind.__subclasses__() for found in kinds_under(child))]


def test_every_error_is_under_the_root() -> None:
    defined = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__.startswith(errors.__name__)
    ]
    assert set(defined) == set(kinds_under(WorkerError))


def test_no_error_of_ours_is_a_value_error() -> None:
    """A handler for ValueError would catch both a mistake of the user and a bug."""
    assert not [kind for kind in (*kinds_under(WorkerError), *kinds_under(ModelError)) if issubclass(kind, ValueError)]
