"""Answers of the transformers pipelines themselves.

Usage: python transformers_pipelines.py JOB.json OUT.json; the job is a list of {"task", "model", "calls": [{"inputs",
"parameters"}]}, and OUT a list of lists of answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from transformers import pipeline


def main(job: Path, out: Path) -> None:
    answers = []
    for wanted in json.loads(job.read_text(encoding="utf-8")):
        run = pipeline(wanted["task"], model=wanted["model"], device="cpu")
        answers.append([run(call["inputs"], **call["parameters"]) for call in wanted["calls"]])
    out.write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
