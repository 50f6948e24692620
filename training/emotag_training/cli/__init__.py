"""The command line, `emotag-train`: one module per group of commands.

Every command imports what it needs when it runs, so that `--help` and a mistake in an option cost no import of torch.
"""

from . import audit, average, distill, export, fit, measure, plot, tune  # noqa: F401  (each adds its commands to the app)
from .app import app
from .main import main

__all__ = ["app", "main"]
