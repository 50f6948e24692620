"""The command `emotag`."""

import signal
import sys


def main() -> None:
    """Run one command, and exit with its code."""
    try:
        # Imported here, because the import takes long enough for a Ctrl-C.
        from .commands import run_command

        code = run_command()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    sys.exit(code)
