"""Work in a process of its own: one JSON job in, JSON lines out (progress, one result or one error)."""
