"""Texts → tokens, by the model's own tokenizer and its limits; what counts as a text, and how lengths make batches. Knows no graph."""
