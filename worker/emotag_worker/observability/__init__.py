"""Metrics, logs, traces, drift, and the HTTP server for metrics and probes."""
