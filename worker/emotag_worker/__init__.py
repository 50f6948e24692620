"""The long-running consumer: records in, emotions out, exactly once."""
