"""Compile the library of the native engine while emotag is built: `pip install .`, an editable installation or a wheel.

    python hatch_build.py [--sanitize] FILE

compiles it to FILE by hand. Without a C compiler emotag is built without the library, and OpenVINO computes instead.
"""

import argparse
import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("model/emotag_model/engines/native")
LIBRARY = FOLDER / "libemotag.so"

FLAGS = ["-std=c11", "-O3", "-fPIC", "-Wall", "-Wextra", "-ffp-contract=off"]
"""`-ffp-contract=off`: the compiler must not turn a product and a sum into one operation on some processors only."""

SANITIZERS = [
    "-O0",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
    "-Werror",
]

SOURCES = ("library", "wordpiece")
"""Files that are compiled once, for any processor."""

AVX2 = ["-mavx2", "-mfma", "-mf16c"]
X86_PATHS = {
    "avx512": [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"],
    "avxvnni": [*AVX2, "-mavxvnni"],
    "avx2": AVX2,
}
"""The instructions of each compilation of `forward.c`. When the engine starts, it takes the fastest path that the
processor can run."""


class CompilerMissing(Exception):
    """There is no C compiler, or it cannot compile the library."""


def find_compiler() -> list[str]:
    """Return the command of the C compiler: CC, or `cc`.

    Raises:
        CompilerMissing: there is none.
    """
    command = shlex.split(os.environ.get("CC", "cc"))
    if not command or shutil.which(command[0]) is None:
        raise CompilerMissing(f"there is no C compiler ({command[0] if command else 'CC is empty'})")
    return command


def compile_library(root: Path, target: Path, extra: list[str]) -> None:
    """Compile the library to *target*. A compiler that is too old for a path leaves it out.

    Args:
        root: the folder of this file.
        extra: more options for the compiler and the linker.

    Raises:
        CompilerMissing: there is no compiler, or it fails.
    """
    compiler, folder = [*find_compiler(), *FLAGS, *extra], root / FOLDER
    with tempfile.TemporaryDirectory() as drafts:
        objects = [_compile_path(compiler, folder, drafts, "portable", [])]
        compiled = [f'-DEMOTAG_SOURCES="{hash_sources(folder)}"']
        for name, instructions in X86_PATHS.items() if platform.machine() in ("x86_64", "AMD64") else ():
            with contextlib.suppress(CompilerMissing):
                objects.append(_compile_path(compiler, folder, drafts, name, instructions))
                compiled.append(f"-DHAVE_{name}")
        for name in SOURCES:
            objects.append(f"{drafts}/{name}.o")
            _run([*compiler, *compiled, "-c", str(folder / f"{name}.c"), "-o", objects[-1]])
        draft = f"{drafts}/library.so"
        _run([*compiler, "-shared", *objects, "-lm", "-o", draft])
        shutil.copyfile(draft, f"{target}.new")
    Path(f"{target}.new").replace(target)  # a running worker keeps the file that it has loaded


def _compile_path(compiler: list[str], folder: Path, drafts: str, name: str, instructions: list[str]) -> str:
    """Compile `forward.c` for a path, and return the object file."""
    target = f"{drafts}/{name}.o"
    names = [f"-DEMOTAG_PATH=emotag_{name}", f'-DEMOTAG_NAME="{name}"']
    _run([*compiler, *instructions, *names, "-c", str(folder / "forward.c"), "-o", target])
    return target


def hash_sources(folder: Path) -> str:
    """Return a hash of the C files; `library.load` compares it with that of the files next to it."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise CompilerMissing(f"{shlex.join(command)} failed:\n{done.stderr}")


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook: `initialize` runs before the files of a wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library, and name the wheel after the platform, because it is for any Python there."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        try:
            compile_library(root, root / LIBRARY, [])
        except (CompilerMissing, OSError) as error:
            (root / LIBRARY).unlink(missing_ok=True)
            self.app.display_warning(f"emotag is built without its native engine, so OpenVINO computes: {error}")
            return
        build_data["artifacts"].append(f"/{LIBRARY.as_posix()}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def main() -> None:
    """Compile the library by hand."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan")
    arguments = parser.parse_args()
    try:
        compile_library(Path(__file__).parent, arguments.file, SANITIZERS if arguments.sanitize else [])
    except CompilerMissing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
