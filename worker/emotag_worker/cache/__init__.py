"""The cache of results in Redis: client, entries and keys."""
