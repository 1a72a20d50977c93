"""From the fields that somebody filled in to an edit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from microtome.errors import EditError, InputError
from microtome.prompts import Prompt, typed_ids
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.sites import Site
from microtome_desktop.state.edit_places import (
    Grounds,
    clean_prompt,
    corrupt_prompt,
    first_strength,
)


class Need(Enum):
    """What an action asks for besides its place."""

    SETS = auto()
    PROMPT = auto()
    WORDS = auto()
    COMPONENT = auto()


# What the fields offer, and the action and the direction that each stands for.
ACTION_TITLES = {
    "zero": "ablate: zero", "mean": "ablate: mean", "position mean": "ablate: mean by position",
    "resample": "ablate: other prompts", "patch": "patch from",
    "difference": "steer: clean \N{MINUS SIGN} corrupt", "unembedding": "steer: word",
    "component": "steer: component", "out difference": "project out: clean \N{MINUS SIGN} corrupt",
    "out unembedding": "project out: word", "out component": "project out: component",
}  # fmt: skip
NEEDS: dict[str, tuple[Need, ...]] = {
    "zero": (), "mean": (Need.SETS,), "position mean": (Need.SETS,), "resample": (Need.SETS,),
    "patch": (Need.PROMPT,), "difference": (), "unembedding": (Need.WORDS,),
    "component": (Need.SETS, Need.COMPONENT), "out difference": (),
    "out unembedding": (Need.WORDS,), "out component": (Need.SETS, Need.COMPONENT),
}  # fmt: skip
_OUT = "out "
_PLACE = re.compile(r"\s*(.+?)\s*(?::\s*(\d+))?\s*")


@dataclass(frozen=True, slots=True)
class Written:
    """The fields as they were filled in; ``prompts`` are those of the sets that were chosen."""

    site: str
    action: str
    positions: str = ""
    text: str = ""
    prompts: tuple[Prompt, ...] = ()


def written_spec(grounds: Grounds, written: Written) -> tuple[EditSpec, tuple[str, ...]]:
    """The edit, and the words whose tokens it still needs.

    Raises InputError that says which field is wrong.
    """
    session = grounds.session
    if session is None or session.clean is None:
        raise InputError("There is nothing to edit yet.", "Run a prompt first.")
    match = _PLACE.fullmatch(written.site)
    if match is None:
        raise InputError("The edit names no site.", "Write for example z.2.1 or resid_post.3.")
    site, neuron = str(Site.parse(match[1])), None if match[2] is None else int(match[2])
    common: dict[str, Any] = {"positions": positions_of(written.positions), "neuron": neuron}
    action = written.action
    if action == "patch":
        return EditSpec(site, action, prompts=(_source(grounds, written.text),), **common), ()
    if Need.SETS in NEEDS[action] and not written.prompts:
        raise EditError("There are no prompts to take it over.", "Choose a prompt set.")
    if action in ("zero", "mean", "position mean", "resample"):
        prompts = written.prompts if NEEDS[action] else ()
        return EditSpec(site, action, prompts=prompts, **common), ()
    out = action.startswith(_OUT)
    direction, words = _direction(grounds, action.removeprefix(_OUT), written, common["positions"])
    strength = 1.0 if out else first_strength(session.clean, site)
    named = "project out" if out else "add"
    return EditSpec(site, named, strength=strength, direction=direction, **common), words


def positions_of(text: str) -> tuple[int, ...] | None:
    """Positions as typed; None for all of them.

    Raises EditError for what is no whole number.
    """
    if text.strip().lower() in ("", "all"):
        return None
    parts = re.split(r"[\s,]+", text.strip(" ,"))
    try:
        return tuple(int(part) for part in parts)
    except ValueError as error:
        raise EditError(
            f"Positions are whole numbers, not {text.strip()!r}.",
            "Write for example 3, 5 or -1 for the last, or all.",
        ) from error


def _source(grounds: Grounds, text: str) -> Prompt:
    session = grounds.session
    if text.strip():
        ids = typed_ids(text)
        return text if ids is None else ids
    if session is None or session.corrupt is None:
        raise EditError("The patch has no prompt to take values from.", "Type one.")
    return corrupt_prompt(session)


def _direction(
    grounds: Grounds, kind: str, written: Written, positions: tuple[int, ...] | None
) -> tuple[DirectionSpec, tuple[str, ...]]:
    session = grounds.session
    if kind == "component":
        text = written.text.strip() or "0"
        if not text.isdigit():
            raise EditError(f"{text!r} is no component.", "Components are counted from 0.")
        return DirectionSpec(kind, prompts=written.prompts, component=int(text)), ()
    if kind == "unembedding":
        words = tuple(word.strip() for word in written.text.split(",") if word.strip())
        if not 1 <= len(words) <= 2:
            raise EditError("Steering along a word needs one word, or two.", "Write Mary, John.")
        return DirectionSpec(kind), words
    if session is None or session.corrupt is None:
        raise EditError(
            "A direction from corrupt to clean needs a pair.", "Run one, or steer along a word."
        )
    clean, corrupt = clean_prompt(session), corrupt_prompt(session)
    return DirectionSpec(kind, prompts=(clean,), others=(corrupt,), positions=positions), ()
