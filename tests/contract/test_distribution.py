"""`pip install ./schemas` is all a consumer needs."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def version(path: Path) -> str:
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"])


def test_both_distributions_carry_the_same_version() -> None:
    assert version(ROOT / "pyproject.toml") == version(ROOT / "schemas" / "pyproject.toml")


def test_the_small_distribution_installs_and_needs_pydantic_alone(tmp_path: Path) -> None:
    """Built from a copy, so that nothing is left in the tree; imported where the project itself is not."""
    source, target = tmp_path / "schemas", tmp_path / "site"
    shutil.copytree(ROOT / "schemas", source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True, timeout=120)
    program = (
        "import sys; import emotag_schemas as s, emotag_schemas.documents\n"
        "assert s.TextMessage(text='a').to_json() == b'{\"text\":\"a\"}'\n"
        "assert not {'torch', 'confluent_kafka', 'schemas', 'worker'} & set(sys.modules)\n"
    )
    environment = {"PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
