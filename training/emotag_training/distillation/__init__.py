"""Teachers: soft labels of trained models for a student to learn from."""
