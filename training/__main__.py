"""`emotag-train`, and one line where what only training needs is not installed."""

import sys


def main() -> None:
    """Hand over to the commands. A worker's installation has none of their libraries: exit code 2."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        print(f"emotag-train: {error.name} is not installed: pip install 'emotag[train]'", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
