"""Where a worker begins, what it does if records are gone, and how a person moves it."""
