"""What reading a result of a file raises where another version wrote it, or it is damaged."""

from __future__ import annotations

from microtome.errors import MicrotomeError

# Arrays and parameters that are missing, of another shape, or of another kind.
UNREADABLE = (
    MicrotomeError, KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError,
)  # fmt: skip
