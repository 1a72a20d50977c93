"""The rows of the table of commands that the suite panel acts on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.needs import needs_its_model


def _no_slices(now: Situation) -> str:
    return needs_its_model(now) or _lacks(now, "suite", "There is no suite yet: run one first.")


def _nothing_goes(now: Situation) -> str:
    return needs_its_model(now) or _lacks(
        now, "redundancy", "It is not known what can go: find it first."
    )


def _lacks(now: Situation, kind: str, why: str) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    return "" if any(analysis.kind == kind for analysis in held) else why


_ID = CommandId
_MENU = "Experiments"
SUITE_COMMANDS = (
    Command(_ID.SUITE, _MENU, "Run the suite", "How many prompts of each slice are answered "
            "rightly, before and after the edits", "mdi6.clipboard-list-outline",
            "Ctrl+Alt+S", needs_its_model, starts_group=True),
    Command(_ID.SLICE_CIRCUITS, _MENU, "Compare the circuits of two slices", "Find the circuits "
            "of the slices that are chosen, and what they share", "mdi6.set-center", "",
            _no_slices),
    Command(_ID.REDUNDANCY, _MENU, "Find what can go", "Take heads, MLPs or layers out one after "
            "another, the least needed first", "mdi6.content-cut", "", needs_its_model),
    Command(_ID.REMOVE_PARTS, _MENU, "Remove the recommended parts", "Take out what can go by "
            "edits, as one step", "mdi6.playlist-minus", "", _nothing_goes),
    Command(_ID.SWAPS, _MENU, "Search for swaps", "Find tokens whose swap flips the answer",
            "mdi6.swap-horizontal-variant", "", needs_its_model),
)  # fmt: skip
