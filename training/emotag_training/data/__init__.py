"""Labelled texts: sources, tables and splits."""
