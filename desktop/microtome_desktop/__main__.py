"""``python -m microtome_desktop [SESSION]`` opens the window."""

from __future__ import annotations

import sys
from pathlib import Path

from microtome_desktop.wiring import open_window


def main() -> int:
    """Open the window with the session named on the command line, if any."""
    return open_window(Path(sys.argv[1]) if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    raise SystemExit(main())
