"""What the documentation says of settings, reasons and files is true."""

import re
from pathlib import Path

from worker import errors, settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(EMOTAG_\w+)` \| (.+?) \|", README, flags=re.MULTILINE))
    expected = {name: default for name, (_, default) in settings.variables().items()}
    assert set(expected) == set(listed)
    for name, default in expected.items():
        if default is None:
            assert listed[name] in ("none", "the shipped model")
        elif isinstance(default, float):
            assert default == float(listed[name].strip("`"))
        else:
            assert str(default).lower() == listed[name].strip("`").lower()


def test_the_readme_names_every_reason_of_a_dead_letter() -> None:
    reasons = {kind.__name__ for kind in errors.BadRecord.__subclasses__()}
    assert reasons == {reason for reason in reasons if f"`{reason}`" in README}


def test_the_error_tree_is_the_one_its_module_draws() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and name != "EmotagError"}
    assert defined == drawn


def test_every_local_link_leads_to_a_file() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
