"""The engine and the host loop on a GPU: `python -m benchmarks.gpu`."""
