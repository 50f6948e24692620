"""The worker alone: stages, latency, growth, scaling, start."""
