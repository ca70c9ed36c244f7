"""Writes one family's directory: ``python -m families NAME FOLDER [--fast]``, in ``scripts``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from families import find, writing

parser = argparse.ArgumentParser(prog="python -m families", description=__doc__)
parser.add_argument("name")
parser.add_argument("folder", type=Path)
parser.add_argument("--fast", action="store_true", help="in its reduced shape")
options = parser.parse_args()
print(json.dumps(writing.write(find(options.name), options.folder, fast=options.fast)))
