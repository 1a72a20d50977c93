"""What a frozen Microtome starts with: a child that looks at a stranger's file, or the program."""

from __future__ import annotations

import sys

from microtome.triage.programs import be_child


def main() -> int:
    """Be what the arguments ask for. A child imports nothing of the window and no torch."""
    status = be_child(sys.argv[1:])
    if status is not None:
        return status
    from microtome.cli import main as microtome

    return microtome()


if __name__ == "__main__":
    sys.exit(main())
