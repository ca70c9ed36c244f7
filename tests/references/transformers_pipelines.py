"""Answers of the transformers pipelines themselves.

Usage: python transformers_pipelines.py JOB.json OUT.json; the job is a list of {"task", "model", "calls": [{"inputs",
"parameters"}]}, and OUT a list of lists of answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import pipeline


def main(job: Path, out: Path) -> None:
    torch.set_num_threads(1)  # its threads spin, which is slow beside anything else
    answers = []
    for wanted in json.loads(job.read_text(encoding="utf-8")):
        run = pipeline(wanted["task"], model=wanted["model"], device="cpu")
        answers.append([run(call["inputs"], **call["parameters"]) for call in wanted["calls"]])
    # Some pipelines leave numpy's own numbers in their answers.
    out.write_text(json.dumps(answers, default=float), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
