"""Write results and dead letters, and commit the offsets of their records."""
