"""The precision of a plug-in that does not tell it: how far a small float32 graph comes out from the CPU's answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpux import selftest

# Half of the last place that the format's significand holds is 6e-8, 4.9e-4 and 3.9e-3; a sum of products comes out within a few.
_FURTHEST = {"fp32": 1e-5, "fp16": 1.5e-3, "bf16": 1.0}


def measured(session: Any) -> str:
    """The widest of fp32, fp16 and bf16 that explains the answer of an open session of the self-test's graph."""
    import onnxruntime

    reference = onnxruntime.InferenceSession(selftest.graph(), providers=["CPUExecutionProvider"])
    (wanted,), (found,) = (one.run(["y"], selftest.feeds()) for one in (reference, session))
    off = float(np.max(np.abs(found - wanted)) / np.max(np.abs(wanted)))
    return next((name for name, furthest in _FURTHEST.items() if off <= furthest), "bf16")
