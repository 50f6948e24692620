"""The public names of `emotag_model`."""

import subprocess
import sys

import pytest

import emotag_model


def test_every_public_name_can_be_imported() -> None:
    for name in emotag_model.__all__:
        assert name == getattr(emotag_model, name).__name__


def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(AttributeError, match="'emotag_model' has no attribute 'Tagger'"):
        emotag_model.Tagger  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import emotag_model", {"torch", "openvino", "numpy", "tokenizers"}),
        ("from emotag_model import EmotionTagger", {"torch", "openvino"}),
        ("from emotag_model.engines.precision import PRECISIONS", {"torch", "openvino", "numpy"}),
    ],
)
def test_importing_is_cheap(program: str, absent: set[str]) -> None:
    """Slow libraries are imported when a model is loaded."""
    check = f"{program}\nimport sys\nsys.exit(' '.join({absent!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert "" == done.stderr
