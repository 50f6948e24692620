"""Figures of speed: emotag against others and against what the machine can do, all in one run. See README.md."""
