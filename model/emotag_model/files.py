"""Files of the user: the cache folder (timings of engines, unpacked encoders, downloads) and TOML files."""

import tomllib
from pathlib import Path
from typing import Any

NO_HOME = Path("/.cache/emotag")
"""The cache of a user without a home folder. Kubernetes sets HOME=/ for such a user, which gives the same path."""


def find_cache_folder() -> Path:
    """Return the user's cache folder for emotag, which may not exist yet.

    On Linux this is `$XDG_CACHE_HOME/emotag`, or `~/.cache/emotag` if the variable is not set.
    """
    # Imported here, because a GPU machine that only measures the engine does not need it.
    from platformdirs import user_cache_path

    try:
        return user_cache_path("emotag")
    except RuntimeError:  # HOME is not set, and the user has no entry in /etc/passwd
        return NO_HOME


def read_toml(file: Path, *, error: type[Exception]) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        error: the file cannot be read or is not TOML; the message is one line that names the file.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as failure:
        raise error(f"{file}: {failure.strerror}") from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise error(f"{file}: not TOML: {failure}") from failure
