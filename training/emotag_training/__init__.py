"""Train a model on labelled texts: `emotag-train` on the command line, `fit` in Python.

from emotag_training import fit
"""

from .api import fit

__all__ = ["fit"]
