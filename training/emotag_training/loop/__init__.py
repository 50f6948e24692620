"""The training loop and everything that runs inside it."""
