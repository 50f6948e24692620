"""The public names of `emotag_training`."""

import subprocess
import sys

import emotag_training


def test_every_public_name_can_be_imported() -> None:
    assert ["fit"] == emotag_training.__all__
    assert "fit" == emotag_training.fit.__name__


def test_importing_is_cheap() -> None:
    """Slow libraries are imported when a run begins."""
    absent = {"torch", "numpy", "transformers", "pydantic"}
    check = f"from emotag_training import fit\nimport sys\nsys.exit(' '.join({absent!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert "" == done.stderr
