"""What OpenVINO says, for people; knows nothing of graphs."""

from __future__ import annotations

import re

from gpux.errors import RunFailed

_FRAME = ("Exception from", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")
_MORE = " with a message:"


def first_line(error: Exception) -> str:
    """What OpenVINO says, without the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line.removeprefix("-- ") for line in lines if not line.startswith(_FRAME)]
    if len(telling) > 1 and telling[0].endswith(_MORE):
        why = telling[1].rpartition(">': ")[2]
        return f"{telling[0].removesuffix(_MORE)}: {why}"
    return (telling or lines or [type(error).__name__])[0]


def failed(device: str, error: Exception) -> RunFailed:
    """The error for a run that OpenVINO gave up."""
    hint = "check the inputs' shapes against gpux show, or try another --provider"
    if re.search(r"alloc|memory|CL_OUT_OF", str(error), re.IGNORECASE):
        hint = "give smaller batches (--batch-size 1), close other programs, or try another --provider"
    said = first_line(error)
    return RunFailed(f"OpenVINO failed while running on {device}: {said}", hint=hint, provider="openvino")
