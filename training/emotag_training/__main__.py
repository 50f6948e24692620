"""`python -m emotag_training`, and the console script `emotag-train`."""

from emotag_training.cli import main

if __name__ == "__main__":
    main()
