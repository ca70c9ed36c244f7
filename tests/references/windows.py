"""What models that see a window are asked; :mod:`tiny_windows` writes down what transformers answers. Imports no framework."""

WINDOW = 16
LENGTHS = (5, 40, 250)
"""Prompts that end before the window is full, behind it, and just before the first buffer of 256 tokens is."""
CALL = {"max_new_tokens": 24, "min_new_tokens": 24, "no_repeat_ngram_size": 2}
