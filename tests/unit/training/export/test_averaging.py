"""The mean of several runs."""
