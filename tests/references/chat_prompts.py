"""What transformers' ``apply_chat_template`` writes: prompts, or the class of what it raised; ``IN.json OUT.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    from transformers import AutoTokenizer

    work, out = map(Path, sys.argv[1:])
    answers = []
    for folder, calls in json.loads(work.read_text(encoding="utf-8")):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for messages, given in calls:
            try:
                text = tokenizer.apply_chat_template(
                    messages, tokenize=False, **{"add_generation_prompt": True, **given}
                )
            except Exception as error:  # noqa: BLE001 - whatever a template raises
                answers.append([type(error).__name__, str(error)])
            else:
                answers.append(text)
    out.write_text(json.dumps(answers), encoding="utf-8")


main()
