"""List dead letters and put them back on their input topic."""
