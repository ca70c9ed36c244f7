"""What OpenVINO says, for people; knows nothing of graphs."""

from __future__ import annotations

_FRAME = ("Exception from", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")


def first_line(error: Exception) -> str:
    """What OpenVINO says, without the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line.removeprefix("-- ") for line in lines if not line.startswith(_FRAME)]
    return (telling or lines or [type(error).__name__])[0]
