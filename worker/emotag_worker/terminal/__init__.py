"""Commands that a person types and reads: produce, tail, tables."""
