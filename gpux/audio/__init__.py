"""Recordings of any rate and format → waveforms and features, as the model's own feature extractor makes them."""
