"""The precisions that a model that writes can be converted to; known to whoever asks for one, without the exporter."""

FULL = "fp32"
MADE = (FULL, "fp16", "int8", "q4", "q4f16")
