"""Pretrained encoders that a training run starts from."""
