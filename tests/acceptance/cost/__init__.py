"""The cost of a stream that is not under load."""
