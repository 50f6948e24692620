"""The packages of this checkout, which need not be installed."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = tuple(ROOT / folder for folder in ("model", "schemas", "training", "worker"))
"""Each folder contains one import package."""
