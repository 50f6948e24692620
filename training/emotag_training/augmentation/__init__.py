"""Changes to training texts that prepare a model for emoji and misspellings."""
