"""Changes to a text before it is tokenized: noisy words and emoji become words that the vocabulary has."""
