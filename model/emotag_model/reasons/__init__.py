"""Why a text has a label: the parts of the text that carry the score."""
