"""What this machine was found to do, kept between runs: its key, what providers can do here, proofs and choices per model."""
