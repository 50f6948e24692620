"""Produces the weights the worker loads. Imports model and schemas.labels; none but benchmarks imports training."""
