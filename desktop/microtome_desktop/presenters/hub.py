"""What is told of a model of the hub before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.hub import Looked

if TYPE_CHECKING:
    from microtome.models.download import Download


def facts_of(looked: Looked) -> tuple[tuple[str, str], ...]:
    """Titles and values: what, how large, what is here, where to, and how much room is there."""
    if looked.here:
        return (("", f"{looked.name} is on this computer: it opens without the network."),)
    plan = looked.plan
    if plan is None:
        return ()
    return (
        ("Files", f"{len(plan.files)}, safetensors weights, settings and tokenizer only"),
        *_room(plan),
    )


def facts_of_dictionary(plans: Sequence[Download]) -> tuple[tuple[str, str], ...]:
    """The same of a dictionary, whose layers may lie in several repositories."""
    rows = (
        (("Repository", plan.name), ("Files", f"{len(plan.files)}, weights and settings only"),
         *_room(plan))
        for plan in plans
    )  # fmt: skip
    return tuple(row for plan in rows for row in plan)


def _room(plan: Download) -> tuple[tuple[str, str], ...]:
    """How large it is, what is here, where to, and how much room is there."""
    here = (("Here already", bytes_text(plan.here)),) if plan.here else ()
    return (
        ("Size", bytes_text(plan.total)),
        *here,
        ("To fetch", bytes_text(plan.missing)),
        ("Destination", str(plan.folder)),
        ("Free there", bytes_text(plan.free)),
    )


def too_large(plan: Download | None) -> str:
    """Why the disk cannot take it, empty when it can."""
    if plan is None or plan.missing <= plan.free:
        return ""
    return (
        f"It needs {bytes_text(plan.missing)}, but only {bytes_text(plan.free)} are free there. "
        "Free some space, or let HF_HOME name a folder on a larger disk."
    )
