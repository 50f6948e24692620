"""Produces the weights the worker loads. Imports emotag_model and emotag_schemas.labels."""
