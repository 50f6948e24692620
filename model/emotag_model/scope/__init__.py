"""The scope of a text: the model can read the text, or the reason why its emotions cannot be trusted."""
