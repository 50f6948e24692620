"""Text to probabilities to emotions.

Legend of the shape suffixes used on every tensor and array in this room:

    B  texts in a batch          L  tokens per text, padding included
    C  width of the trunk        H  attention heads        D  width of one head (C = H * D)
    F  convolution channels      K  labels (28 in GoEmotions, in data set order)
"""
