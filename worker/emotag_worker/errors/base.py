"""The root of the worker's errors, and the exit codes of commands."""

from typing import ClassVar

PERSON_NEEDED = 2
"""Exit code: a restart does not help until a person has fixed something."""

RESTART = 1
"""Exit code: something outside failed; a supervisor may restart the worker."""


class WorkerError(Exception):
    """Base of every error that `emotag_worker` raises on purpose.

    Attributes:
        exit_code: the exit code of a command that this error ends.
    """

    exit_code: ClassVar[int] = PERSON_NEEDED
