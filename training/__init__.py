"""Produces the weights the worker loads. Imports model and schemas.labels; nothing imports training."""
