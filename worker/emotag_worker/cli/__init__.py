"""The command `emotag`."""

import os
import signal
import sys


def main() -> None:
    """Run one command, and exit with its code."""
    # When numpy is imported, OpenBLAS starts a thread for each core, and each computes for some 50 ms until it sleeps.
    # No command multiplies large matrices in numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        # Imported here, because the import takes long enough for a Ctrl-C.
        from .commands import run_command

        code = run_command()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    sys.exit(code)
