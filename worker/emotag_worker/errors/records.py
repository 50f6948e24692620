"""Why a record becomes a dead letter.

The messages go into headers and logs, so none of them ever contains any part of the record.
"""

from typing import ClassVar

from .base import WorkerError


class BadRecord(WorkerError):
    """A record that cannot be tagged and never will be.

    Attributes:
        stage: the stage of the pipeline that refused the record.
    """

    stage: ClassVar[str] = "decode"


class Tombstone(BadRecord):
    """The value is null."""

    def __init__(self) -> None:
        super().__init__("the value is null")


class ValueTooLarge(BadRecord):
    """The value is larger than `input.max_value_bytes`."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"the value has {size_bytes} bytes, the limit is {limit_bytes} (EMOTAG_INPUT__MAX_VALUE_BYTES)"
        )


class NotUtf8(BadRecord):
    """The value is not UTF-8 from byte *position* on."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the value is not UTF-8 (byte {position})")


class NotJson(BadRecord):
    """The value is not JSON, or is JSON but not an object."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the value is not a JSON object: {why}")


class TooDeep(BadRecord):
    """The value is nested more deeply than the parser follows."""

    def __init__(self) -> None:
        super().__init__("the value is nested too deeply")


class WrongType(BadRecord):
    """A field has another type than the contract requires."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(f"{field} takes {expected}, but is {found}")


class NoText(BadRecord):
    """The text is missing, empty or blank; *how* is one of these words."""

    def __init__(self, field: str, how: str) -> None:
        super().__init__(f"{field} is {how}")


class IdTooLarge(BadRecord):
    """The id is larger than the limit of the contract."""

    def __init__(self, field: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{field} has {size_bytes} bytes, the limit is {limit_bytes}")


class MetadataTooLarge(BadRecord):
    """The metadata is larger than `input.max_metadata_bytes`."""

    def __init__(self, field: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{field} has {size_bytes} bytes, the limit is {limit_bytes} (EMOTAG_INPUT__MAX_METADATA_BYTES)"
        )


class HeadersTooLarge(BadRecord):
    """The headers are larger than `input.max_headers_bytes`."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"the headers have {size_bytes} bytes, the limit is {limit_bytes} (EMOTAG_INPUT__MAX_HEADERS_BYTES)"
        )


class HeadersUnreadable(BadRecord):
    """The name of a header is not UTF-8, so the client cannot read any of the record's headers."""

    def __init__(self) -> None:
        super().__init__("the name of a header is not UTF-8; the dead letter carries none of the record's headers")


class OutputRefused(BadRecord):
    """The brokers refuse the result of this record, and accept others."""

    stage = "write"

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"the brokers refuse the result for {topic}: {why}")


class OutOfScope(BadRecord):
    """The emotions of the text cannot be trusted, and `output.out_of_scope` is `dead_letter`."""

    stage = "tag"

    def __init__(self, scope: str, language: str | None) -> None:
        found = f"scope {scope}, language {language or 'not certain'}"
        super().__init__(f"the text is out of the model's scope: {found} (EMOTAG_OUTPUT__OUT_OF_SCOPE)")


class DeviceRejected(BadRecord):
    """The device fails on this text and works on others."""

    stage = "tag"

    def __init__(self, error: Exception) -> None:
        # Only the error's type: the message of a kernel may contain anything.
        super().__init__(f"the device failed on this text alone ({type(error).__name__})")


class TokenizerRejected(BadRecord):
    """The tokenizer fails on this text and works on others."""

    stage = "tokenize"

    def __init__(self, error: BaseException) -> None:
        # Only the error's type: its message may contain a part of the text.
        super().__init__(f"the tokenizer failed on this text alone ({type(error).__name__})")
