"""Changes to a text before it is tokenized: to noisy words, to emoji, and to letters in another style."""
