"""Properties of the image that can be checked without building it."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.check.__main__ import ROOT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def pins(name: str) -> dict[str, set[str]]:
    """Return the versions by package of a requirements file."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([a-z0-9._-]+)==(\S+)", line):
            found.setdefault(pin[1], set()).add(pin[2])
    return found


@pytest.mark.parametrize("name", ["cpu.txt", "cuda.txt"])
def test_an_image_has_the_versions_that_are_tested(name: str) -> None:
    tested = pins("dev.txt")
    assert {} == {package: found for package, found in pins(name).items() if not found <= tested.get(package, set())}


def test_only_the_image_for_gpus_has_torch() -> None:
    assert "openvino" in pins("cpu.txt")
    assert not {"torch", "transformers"} & set(pins("cpu.txt"))
    assert "torch" in pins("cuda.txt")


def test_every_pip_of_the_image_checks_hashes_or_looks_nowhere() -> None:
    """emotag's wheels are built by a pinned hatchling, and installed from the folder that they were built into."""
    commands = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) [^\n]*", DOCKERFILE)
    assert 6 == len(commands)
    for command in commands:
        assert "--require-hashes" in command or "--no-deps" in command
        assert "--no-deps" not in command or "--no-index" in command or "--no-build-isolation" in command


def test_nothing_that_runs_in_the_image_needs_a_shell_or_root() -> None:
    for instruction in ("ENTRYPOINT", "CMD"):
        found = re.findall(rf"(?:^|\s){instruction} (.)", DOCKERFILE)
        assert set(found) == {"["}
    assert ["10001:10001"] == re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert ["SIGTERM"] == re.findall(r"^STOPSIGNAL (\S+)", DOCKERFILE, re.MULTILINE)


def test_what_the_image_copies_is_not_ignored_and_little_else_is_sent() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in sources.split()
    }
    assert "*" in lines
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_wheels_build_from_the_files_that_the_image_copies(tmp_path: Path) -> None:
    """Both distributions, as the Dockerfile names them; a worker's image needs no training code."""
    (sources,) = re.findall(r"pip wheel .* --wheel-dir /wheels (.+)$", DOCKERFILE, re.MULTILINE)
    stage = DOCKERFILE[DOCKERFILE.index("AS wheel") : DOCKERFILE.index(" wheel --no-cache-dir")]
    for names in re.findall(r"^COPY (.+) /src\S*$", stage, re.MULTILINE):
        for name in names.split():
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, tmp_path / "src" / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheels")]
    for source in sources.split():
        subprocess.run(build, cwd=tmp_path / source.lstrip("/"), check=True, capture_output=True, timeout=120)
    packages = {
        name.partition("/")[0]
        for wheel in (tmp_path / "wheels").glob("*.whl")
        for name in zipfile.ZipFile(wheel).namelist()
        if ".dist-info/" not in name
    }
    assert {"emotag_model", "emotag_schemas", "emotag_worker"} == packages


def test_every_image_that_is_deployed_is_one_that_the_dockerfile_makes() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    tags = {
        tag
        for file in Path(ROOT / "deploy" / "kubernetes").rglob("kustomization.yaml")
        for tag in re.findall(r"newTag: (\S+)", file.read_text(encoding="utf-8"))
    }
    assert tags
    assert {tag.rpartition("-")[2] for tag in tags} <= targets
