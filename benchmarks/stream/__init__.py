"""The worker, compared with other stream frameworks."""
