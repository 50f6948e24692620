"""Folders, files, functions and names stay small and easy to find: each rule lists everything that breaks it."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {f"emotag_{folder}": ROOT / folder for folder in ("schemas", "model", "worker", "training")}
FOLDERS = (*PACKAGES.values(), ROOT / "benchmarks", ROOT / "deploy", ROOT / "tests")
TESTED = {**{name.removeprefix("emotag_"): path / name for name, path in PACKAGES.items()}, "benchmarks": FOLDERS[4]}
"""{folder of tests/unit: the package whose modules it mirrors}"""

MOST_FILES = 14
UNCOUNTED = frozenset(("__init__.py", "conftest.py"))
"""Not counted among the files of a folder: a newcomer looks neither for code nor for a test in them."""
MOST_LINES = 350
MOST_LINES_OF_A_FUNCTION = 60


def code(folder: Path) -> list[Path]:
    """Return the Python files of a folder and of the folders in it."""
    return sorted(path for path in folder.rglob("*.py") if not path.relative_to(folder).parts[0].startswith("."))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def complain(rule: str, found: Iterable[str]) -> None:
    """Fail with everything that breaks a rule, one line each."""
    lines = list(found)
    assert not lines, "\n  ".join([rule, *lines])


def test_a_folder_has_few_files_side_by_side() -> None:
    """`__init__.py` and `conftest.py` are not counted, and no folder inside a folder is."""
    counts: dict[Path, int] = defaultdict(int)
    for folder in FOLDERS:
        for path in code(folder):
            counts[path.parent] += path.name not in UNCOUNTED
    rule = f"a folder has at most {MOST_FILES} code files; move some into a folder named for their subject:"
    complain(rule, (f"{shown(folder)}: {count}" for folder, count in counts.items() if count > MOST_FILES))


def test_a_file_is_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for each in FOLDERS for path in code(each)}
    assert lengths
    rule = f"a code file has at most {MOST_LINES} lines:"
    complain(rule, (f"{shown(path)}: {lines}" for path, lines in lengths.items() if lines > MOST_LINES))


def test_a_function_is_short() -> None:
    """From its `def` to its last line, docstring included."""
    found = []
    for path in (path for folder in FOLDERS for path in code(folder)):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found.append(f"{shown(path)}:{node.lineno}: {node.name}: {lines}")
    complain(f"a function has at most {MOST_LINES_OF_A_FUNCTION} lines:", found)


def mirror(module: Path, package: Path, tests: str) -> Path:
    """Return the unit test file of a module; `__main__.py` has `test_main.py`."""
    folder = ROOT / "tests" / "unit" / tests / module.relative_to(package).parent
    return folder / f"test_{module.stem.strip('_')}.py"


def only_declares(path: Path) -> bool:
    """Return True if a module has nothing to test: only imports, names and Protocols."""
    return all(
        isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Assign)
        or (isinstance(node, ast.ClassDef) and "Protocol" in {getattr(base, "id", "") for base in node.bases})
        for node in parsed(path).body
    )


def modules(package: Path) -> Iterator[Path]:
    return (path for path in code(package) if path.name != "__init__.py" and not only_declares(path))


def test_every_module_of_worker_and_model_has_a_unit_test_at_the_mirrored_place() -> None:
    expected = {
        module: mirror(module, TESTED[tests], tests)
        for tests in ("worker", "model")
        for module in modules(TESTED[tests])
    }
    assert expected
    rule = "add a unit test for each of these modules:"
    missing = (f"{shown(module)}: {shown(test)}" for module, test in expected.items() if not test.is_file())
    complain(rule, missing)


def test_every_unit_test_mirrors_a_module() -> None:
    """Find a test from its module, and a module from its test. Helpers are not named `test_*.py`."""
    expected = {mirror(module, package, tests) for tests, package in TESTED.items() for module in modules(package)}
    expected |= {ROOT / "tests" / "unit" / tests / "test_public_api.py" for tests in TESTED}  # of `__init__.py`
    found = {path for tests in TESTED for path in (ROOT / "tests" / "unit" / tests).rglob("test_*.py")}
    assert found & expected
    complain("these unit tests mirror no module; move or rename them:", map(shown, sorted(found - expected)))


def test_no_two_public_classes_have_the_same_name() -> None:
    places = defaultdict(list)
    for name, folder in PACKAGES.items():
        for path in code(folder / name):
            for node in parsed(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{shown(path)}:{node.lineno}")
    assert places
    rule = "a public class has a name that no other has:"
    complain(rule, (f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1))


def test_six_names_can_be_imported_from_the_checkout() -> None:
    """One package in each of four folders, under names that no user's file has; tests and benchmarks at the root.

    Hatchling looks for its build script there.
    """
    at_the_root = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.name for path in ROOT.glob("*.py")}
    assert {"benchmarks", "tests", "hatch_build.py"} == at_the_root
    for name, folder in PACKAGES.items():
        importable = {path.parent.name for path in folder.glob("*/__init__.py")} | {p.name for p in folder.glob("*.py")}
        assert {name} == importable
