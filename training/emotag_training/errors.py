"""Errors, as one tree: catch `TrainingError` for all of them."""


class TrainingError(Exception):
    """Base of every error that `emotag_training` raises for its callers."""


class DataError(TrainingError):
    """A data set or file that cannot be used. The message names it, the place in it, and the reason."""


class Unreachable(TrainingError):
    """A failed download. The message names the address and another way; trying again can help (exit code 1)."""


class EncoderError(TrainingError):
    """An encoder that cannot be loaded or used. The message names a remedy."""


class RecipeError(TrainingError):
    """A recipe that cannot be used. The message names the key or file, and the values that it takes."""


class PolicyError(RecipeError):
    """A threshold policy that is unknown or lacks its number."""


class TeacherError(TrainingError):
    """A teacher's file that cannot be used. The message names the file and the reason."""


class CheckpointError(TrainingError):
    """A run that cannot be resumed. The message names its folder and the reason."""


class OutputError(TrainingError):
    """A directory that a command must not write to. The message names the directory and the reason."""


class Interrupted(TrainingError):
    """A run that stopped on request; its checkpoint was written."""


class TrackerMissing(TrainingError):
    """A tracker that is unknown or not installed. The message names a remedy."""
