"""`emotag-train`, and one line where what only training needs is not installed."""

import sys


def main() -> None:
    """Hand over to the commands. A worker's installation has none of their libraries: exit code 2."""
    try:
        from .cli import main as run

        run()  # some commands import theirs only then
    except KeyboardInterrupt:  # while all of it was still being imported
        sys.exit(130)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        print(f"emotag-train: {package} is not installed: pip install 'emotag[train]'", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
