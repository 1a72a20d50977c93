"""What is told of memory before work begins."""

from __future__ import annotations

from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.draft import Needs


def needs_text(needs: Needs | None) -> str:
    """For example ``About 12 MiB of memory, 5.1 GiB free``; empty where nothing is known."""
    if needs is None:
        return ""
    free = "" if needs.free is None else f", {bytes_text(needs.free)} free"
    return f"About {bytes_text(needs.peak)} of memory{free}"


def left_out_text(needs: Needs | None) -> str:
    """Which sites a run will not keep, empty when it keeps all."""
    if needs is None or not needs.left_out:
        return ""
    return (
        f"Keeps {bytes_text(needs.kept)} of activations, without {', '.join(needs.left_out)}: "
        "more does not fit the budget of the settings."
    )


def too_much_text(needs: Needs) -> str:
    """Why a run should not begin, and what to do."""
    return (
        f"This run takes about {bytes_text(needs.peak)} of memory, but "
        f"{bytes_text(needs.free or 0)} are free. Shorten the prompt, leave out the corrupt one, "
        "lower the budget for activations in the settings, or close other programs."
    )
