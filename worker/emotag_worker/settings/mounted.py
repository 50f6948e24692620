"""Read settings from the files that variables name: `EMOTAG_CACHE__URL_FILE=/run/secrets/url` sets `EMOTAG_CACHE__URL`.

Docker and Kubernetes mount secrets as files. A variable would show them to everyone who can inspect the container.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from emotag_worker.errors import SettingsError

SUFFIX = "_FILE"

LARGEST = 1_048_576
"""Bytes. Secrets are small: a larger file is a wrong path."""


def find_named(variable: str) -> str | None:
    """Return the variable that a `…_FILE` variable sets; None for any other variable."""
    return variable[: -len(SUFFIX)] if variable.upper().endswith(SUFFIX) else None


def read_named(environment: Mapping[str, str], *, is_setting: Callable[[str], bool]) -> dict[str, str]:
    """Return the contents of the files, by the variable that they set, without the newline at the end.

    Args:
        is_setting: returns True for the variable of a setting.

    Raises:
        SettingsError: a variable and its `…_FILE` are both set, or the file cannot be read.
    """
    names = {variable.upper() for variable in environment}
    contents: dict[str, str] = {}
    for variable, path in environment.items():
        named = find_named(variable)
        if named is None or not is_setting(named):
            continue
        if named.upper() in names:
            raise SettingsError(f"{named} and {variable} are both set: keep one of the two")
        contents[named] = _read(Path(path), variable)
    return contents


def _read(path: Path, variable: str) -> str:
    where = f"cannot read {path} ({variable}, from the environment)"
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise SettingsError(f"{where}: the file has more than 1 MiB. Name the file that has the value")
        return raw.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        cause = (error.strerror or type(error).__name__).lower()
        raise SettingsError(f"{where}: {cause}. Mount the file, or correct its path") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: the file is not UTF-8. Write the value as text") from None
