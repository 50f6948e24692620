"""The list of a worker's packages is complete. `make check` runs bandit."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "requirements" / "dev.txt"


def make(target: str, **variables: str) -> None:
    """Run a target of the Makefile in the environment of these tests."""
    given = [f"{name}={value}" for name, value in {"READY": "", "BIN": str(Path(sys.executable).parent)}.items()]
    given += [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        ["make", "-C", str(ROOT), target, *given], capture_output=True, text=True, check=False, timeout=170
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def locked(name: str) -> str:
    """Return the tested version of a package."""
    found = re.search(rf"^{name}==([^ ;]+)", LOCKED.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_an_sbom_lists_what_a_worker_needs_with_versions_and_hashes_and_nothing_else(tmp_path: Path) -> None:
    make("sbom", SBOM=str(tmp_path))
    bom = json.loads((tmp_path / "emotag.cdx.json").read_text(encoding="utf-8"))
    assert ("CycloneDX", "emotag") == (bom["bomFormat"], bom["metadata"]["component"]["name"])
    components = {component["name"]: component for component in bom["components"]}
    for name in ("confluent-kafka", "openvino", "redis", "safetensors", "pydantic"):
        assert locked(name) == components[name]["version"]
        assert f"pkg:pypi/{name}@{locked(name)}" == components[name]["purl"]
    for component in components.values():
        hashes = [each for reference in component["externalReferences"] for each in reference["hashes"]]
        assert {"SHA-256"} == {each["alg"] for each in hashes}, component["name"]
    assert not {"pytest", "mypy", "torch", "transformers", "jgo"} & set(components)
