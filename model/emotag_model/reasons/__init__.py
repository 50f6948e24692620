"""Why a text has a label: the spans of the text that carry the score."""
