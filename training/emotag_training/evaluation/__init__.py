"""Measure a model on labelled texts: metrics, intervals, calibration, thresholds."""
