"""`python -m emotag_worker` is `emotag`."""

from .cli import main

if __name__ == "__main__":
    main()
