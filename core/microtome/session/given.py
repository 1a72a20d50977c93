"""What callers give as the place of a session."""

from __future__ import annotations

import os
from pathlib import Path

from microtome.errors import expect


def as_path(path: str | os.PathLike[str]) -> Path:
    """The path of a session file. Raises WrongKind for what is no path."""
    expect(path, (str, os.PathLike), "path", "a file's path", "Write for example 'session.h5'.")
    return Path(path)
