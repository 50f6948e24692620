"""The packages of this checkout, which need not be installed."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = tuple(ROOT / folder for folder in ("model", "schemas", "training", "worker", "benchmarks/gpu/stand_ins"))
"""Each folder contains one import package; the last one, modules in place of missing libraries."""
