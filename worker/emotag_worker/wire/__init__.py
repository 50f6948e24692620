"""From bytes to values and back, without any client: records, results, dead letters."""
