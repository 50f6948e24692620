"""Texts that the model cannot judge."""
