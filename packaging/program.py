"""What a frozen Microtome starts with: a child that looks at a stranger's file, or the program."""

from __future__ import annotations

import sys

from microtome.session.bare import be_child


def main() -> int:
    """Be what the arguments ask for. A child imports nothing of the window and no torch."""
    if be_child(sys.argv[1:]):
        return 0
    from microtome.cli import main as microtome

    return microtome()


if __name__ == "__main__":
    sys.exit(main())
