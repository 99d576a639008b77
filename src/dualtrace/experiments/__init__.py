"""Published experiments as data, and memory models scored on them. Read ``record`` first."""
