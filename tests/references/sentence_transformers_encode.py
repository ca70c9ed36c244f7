"""Embeddings by sentence-transformers itself.

Usage: python sentence_transformers_encode.py JOB.json OUT.npz; the job is {"texts": [...], "models": {directory: {call:
keyword arguments of encode}}}, and OUT holds one array per `<directory's name>/<call>`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer


def main(job: Path, out: Path) -> None:
    wanted = json.loads(job.read_text(encoding="utf-8"))
    found = {}
    for directory, calls in wanted["models"].items():
        model = SentenceTransformer(directory, device="cpu", local_files_only=True)
        for name, call in calls.items():
            found[f"{Path(directory).name}/{name}"] = model.encode(wanted["texts"], **call)
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
