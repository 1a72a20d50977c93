"""The command line: the window's operations on the same engine and the same file."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for a failed check, 2 for bad input."""
    from microtome.cli.commands import main as run

    return run(arguments)
