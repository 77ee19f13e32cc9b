"""Names of streams that come in one message: that of the message, ``:`` and what is of it, as ``state:left``."""

from __future__ import annotations

SET_MARK = ":"  # between the name of a stream and of what it holds, where a topic or vector becomes several


def message_of(name: str) -> str:
    """What the streams of one message have in common of their names; the name itself of a stream alone in its own."""
    return name.partition(SET_MARK)[0]
