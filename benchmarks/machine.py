"""A description of the machine and the library versions that a run was measured with."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emotag_model.engines.device import count_usable_cores, list_instructions, read_processor_name

LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "ctranslate2",
    "confluent-kafka",
    "faststream",
    "quixstreams",
    "redis",
    "msgspec",
    "pydantic",
)
"""The libraries that a figure depends on."""


def describe() -> dict[str, Any]:
    """Return processor, memory, system, versions, date and commit."""
    return {
        "processor": read_processor_name(),
        "instructions": list_instructions(),
        "cores": count_usable_cores(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "os": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: number for name in LIBRARIES if (number := _version(name))},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the commit of the measured tree, with `+` if it has uncommitted changes; empty outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607  (git as found on the PATH)
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
