"""Render figures: model card, HTML report, plots, tables."""
