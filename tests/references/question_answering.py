"""Answers of the question-answering pipeline of transformers, which version 5.3 took out: stored, as no newer one can give them.

They were made with transformers 5.2.0, tokenizers 0.22.2 and torch 2.13.0, in an environment of their own; again with
``python question_answering.py OUT.json`` there. Nothing here imports transformers before that.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_suffix(".json")
MODELS = ("answers_words", "answers_bytes")

_SHORT = "Paris is the capital of France, and Berlin that of Germany."
_LONG = " ".join(
    [
        "When the lighthouse was built in 1874, three ships had been lost on the reef.",
        "It stands 41 metres high; the lamp burned oil for fifty years 😀 and was lit by gas until 1952.",
        "Die Straße führt an der Küste entlang, und 今日はとても良い天気ですね。",
        "The last keeper, Tomás Reyes, left in 1988 - and the house now holds a small museum (closed on Mondays).",
    ]
    * 3
)
ITEMS: list[dict[str, str]] = [
    {"question": "What?", "context": _SHORT},
    {"question": "Who built it, when?", "context": _LONG},
    {"question": "Où est-ce? 🇩🇪", "context": "👩\u200d👩\u200d👧 family, 👍🏽 skin tone, 🇩🇪 flag, 1️⃣ keycap — naïve café"},
    {"question": "x", "context": "a"},
    {"question": "x", "context": " "},
    {"question": "what is\tthis", "context": "line one\nline two\r\nline three\t\tend  "},
    {"question": "the [CLS] of it <s>", "context": "not [SEP] a token [CLS] but </s> one"},
    {"question": "is it so", "context": "Paris paris PARIS said paris; the the THE the"},
    {"question": "how", "context": "electroencephalography " * 30},
]  # fmt: skip
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "one each": (ITEMS, {}),
    "five each": (ITEMS, {"top_k": 5}),
    "all": ([ITEMS[0], ITEMS[3]], {"top_k": 1000, "max_answer_len": 3}),
    "none is an answer": (ITEMS, {"handle_impossible_answer": True, "top_k": 4}),
    "parts of words": (ITEMS, {"align_to_words": False, "top_k": 4}),
    "one part of a word": (ITEMS, {"align_to_words": False}),
    "long answers": (ITEMS, {"max_answer_len": 40, "top_k": 4}),
    "one token": (ITEMS, {"max_answer_len": 1, "top_k": 2}),
    "small pieces": (ITEMS[:4], {"max_seq_len": 32, "doc_stride": 3, "top_k": 4}),
    "no overlap": (ITEMS[:4], {"max_seq_len": 40, "doc_stride": 0, "top_k": 2}),
    "alone": (ITEMS[1], {}),
    "alone, three": (ITEMS[1], {"top_k": 4}),
}


def _columns(items: Any) -> dict[str, Any]:
    if isinstance(items, dict):
        return items
    return {key: [item[key] for item in items] for key in ("question", "context")}


def main(out: Path) -> None:
    import tiny_text_models
    import transformers

    assert transformers.__version__ == "5.2.0"
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        tiny_text_models.save(Path(folder), MODELS)
        for name in MODELS:
            run = transformers.pipeline("question-answering", model=f"{folder}/{name}", device="cpu")
            answers[name] = {call: run(**_columns(items), **asked) for call, (items, asked) in CALLS.items()}
    out.write_text(json.dumps(answers, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
