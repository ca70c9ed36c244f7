"""The precisions that a model that writes can be converted to; known to whoever asks for one, without the exporter."""

FULL = "fp32"
NARROW = "kv8"
"""What stands behind the name of a variant whose keys and values are kept in 8 bits."""
MADE = (FULL, "fp16", "int8", "q4", "q4f16", "q4kv8")
