"""The built wheels: their contents, their dependencies, and that they run next to files with the names of ours."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("emotag_model", "emotag_training", "emotag_worker")
RAISES = "raise RuntimeError(f'{__file__} was imported')\n"

USERS_OWN = ("model.py", "worker/__init__.py", "training/__init__.py", "schemas.py", "benchmarks.py")
"""Files of a user that must not collide with emotag's packages."""
LIBRARIES = ("typer.py", "redis.py", "numpy.py", "structlog.py")
"""Files with the names of libraries: no command may import from the folder that it is started in."""


@dataclass(frozen=True)
class Installed:
    """An environment with the built wheels, in which the checkout cannot be imported."""

    python: Path
    packages: Path

    def run(self, *command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment in *folder*."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [str(self.python.with_name(command[0])), *command[1:]],
            cwd=folder,
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{distribution: its wheel}, built from the checkout without leaving anything in it."""
    target = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "schemas"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
        subprocess.run(build, cwd=folder, check=True, capture_output=True, timeout=120)
    return {path.name.partition("-")[0].replace("_", "-"): path for path in target.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install both wheels; take the libraries from the environment that runs the tests.

    A .pth file adds that environment's libraries after the installed wheels. Python does not read the .pth files in an
    added folder, so the editable installation of the checkout stays invisible.
    """
    return install(wheels, tmp_path_factory.mktemp("environment"))


def install(wheels: dict[str, Path], home: Path) -> Installed:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=60)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, *map(str, wheels.values())], check=True, timeout=120)
    (packages,) = home.glob("lib/python3*/site-packages")
    libraries = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return Installed(python, packages)


def hostile(folder: Path, *names: str) -> Path:
    """Fill *folder* with files that raise when they are imported."""
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(RAISES)
    return folder


def project(folder: Path) -> dict[str, str]:
    """Return the `[project]` table of a folder's pyproject.toml."""
    found: dict[str, str] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def files(wheel: Path) -> set[str]:
    """Return the paths in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> Message:
    """Return a wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_both_distributions_have_the_same_version_and_emotag_pins_it(wheels: dict[str, Path]) -> None:
    version = project(ROOT)["version"]
    assert version == project(ROOT / "schemas")["version"]
    assert {"emotag", "emotag-schemas"} == set(wheels)
    required = metadata(wheels["emotag"]).get_all("Requires-Dist", [])
    assert [f"emotag-schemas=={version}"] == [line for line in required if line.startswith("emotag-schemas")]


def test_emotag_contains_three_packages_with_their_data(wheels: dict[str, Path]) -> None:
    found = files(wheels["emotag"])
    assert set(PACKAGES) == {name.partition("/")[0] for name in found}
    source = {
        path.relative_to(ROOT / package.removeprefix("emotag_")).as_posix()
        for package in PACKAGES
        for path in (ROOT / package.removeprefix("emotag_") / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source == found
    needed = {f"{package}/py.typed" for package in PACKAGES}
    needed |= {f"emotag_model/artifacts/emotag-mini/{name}" for name in ("model.safetensors", "SHA256SUMS")}
    needed |= {"emotag_worker/samples.txt", "emotag_training/recipes/emotag-mini.toml"}
    assert needed <= found
    assert [name for name in found if re.fullmatch(r"emotag_training/recipes/.*teacher\.safetensors", name)]


def test_the_wheel_contains_the_library_and_is_for_one_platform_and_any_python(
    wheels: dict[str, Path],
) -> None:
    """The library does not use Python's headers."""
    assert re.fullmatch(r"emotag-[^-]+-py3-none-(linux|macosx)_\w+\.whl", wheels["emotag"].name)
    assert "emotag_model/engines/native/libemotag.so" in files(wheels["emotag"])


def test_without_a_compiler_it_is_built_without_the_library_and_openvino_computes(
    wheels: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a copy of the project, because the build removes a library that is older than the sources."""
    source = tmp_path / "source"
    for folder in ("model", "worker", "training"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / file, source)
    monkeypatch.setenv("CC", "no-such-compiler")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=source, check=True, capture_output=True, text=True, timeout=120)
    assert "built without its native engine, so OpenVINO computes: there is no C compiler (no-such-compiler)" in (
        done.stdout + done.stderr
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    installed = install({**wheels, "emotag": wheel}, tmp_path / "environment")
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    tagged = installed.run("emotag", "tag", "--json", "Thank you so much!", folder=tmp_path, **environment)
    assert "gratitude" in tagged.stdout, tagged.stderr
    refused = installed.run("emotag", "tag", "--engine", "native", "Thank you!", folder=tmp_path, **environment)
    assert 2 == refused.returncode
    assert "engine native was not compiled when emotag was installed" in refused.stderr


def test_emotag_schemas_contains_one_package_and_needs_pydantic_alone(wheels: dict[str, Path]) -> None:
    found = files(wheels["emotag-schemas"])
    assert {"emotag_schemas"} == {name.partition("/")[0] for name in found}
    assert {"emotag_schemas/__init__.py", "emotag_schemas/py.typed"} <= found
    (required,) = metadata(wheels["emotag-schemas"]).get_all("Requires-Dist", [])
    assert required.startswith("pydantic>=")


def test_the_schemas_import_nothing_but_pydantic(installed: Installed, tmp_path: Path) -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "import emotag_schemas as s, emotag_schemas.documents\n"
        "assert s.TextMessage(text='a').to_json() == b'{\"text\":\"a\"}'\n"
        "paths = {n.partition('.')[0]: m.__file__ or '' for n, m in sys.modules.items()"
        " if n not in before and getattr(m, '__file__', None)}\n"
        "print(*sorted(name for name, path in paths.items() if 'site-packages' in path))\n"
    )
    done = installed.run("python", "-c", program, folder=tmp_path)
    assert 0 == done.returncode, done.stderr
    of_pydantic = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    assert {"emotag_schemas"} == set(done.stdout.split()) - of_pydantic


def test_the_environment_of_these_tests_imports_the_wheels(installed: Installed, tmp_path: Path) -> None:
    names = (*PACKAGES, "emotag_schemas")
    program = f"import {', '.join(names)}\nfor each in ({', '.join(names)}): print(each.__file__)"
    done = installed.run("python", "-c", program, folder=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert [str(installed.packages / name / "__init__.py") for name in names] == done.stdout.split()


def test_a_text_is_tagged_in_a_folder_of_files_named_like_ours(installed: Installed, tmp_path: Path) -> None:
    named = ("--engine", "openvino", "--precision", "fp32")
    folder = hostile(tmp_path, *USERS_OWN, *LIBRARIES)
    done = installed.run("emotag", "tag", "Thank you so much!", "--json", *named, folder=folder)
    assert 0 == done.returncode, done.stderr
    assert "gratitude" == json.loads(done.stdout)["emotions"][0]["label"]


def test_the_training_command_starts_in_a_folder_of_files_named_like_ours(installed: Installed, tmp_path: Path) -> None:
    done = installed.run("emotag-train", "--help", folder=hostile(tmp_path, *USERS_OWN, *LIBRARIES))
    assert 0 == done.returncode, done.stderr
    assert "evaluate" in done.stdout


def test_the_readmes_python_example_runs_in_a_folder_of_files_named_like_ours(
    installed: Installed, tmp_path: Path
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if "EmotionTagger" in block]
    (hostile(tmp_path, *USERS_OWN) / "example.py").write_text(example)
    done = installed.run("python", "example.py", folder=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert "gratitude" in done.stdout


def test_every_python_that_we_start_ignores_the_current_folder() -> None:
    """`python -m` looks for modules in the current folder first, unless it is given -P (or -I)."""
    found = []
    for package in (*PACKAGES, "emotag_schemas"):
        for path in (ROOT / package.removeprefix("emotag_") / package).rglob("*.py"):
            found += re.findall(r"sys\.executable,\s*(\S+)", path.read_text(encoding="utf-8"))
    assert len(found) >= 3
    assert {'"-P",', '"-IS",'} >= set(found)
