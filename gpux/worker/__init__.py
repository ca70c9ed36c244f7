"""Work in a process of its own: JSON jobs in, JSON lines out (progress, and one result or one error for each job)."""
