"""What the stream is measured against: each a process of its own, written as its library's documentation shows."""
