"""Edits on the command line: the options that name them, and how they are read.

An edit is written SITE[@POSITIONS], then = and what it needs. Edits act in the order in which
they stand on the command line, whatever their kinds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microtome.errors import InputError
from microtome.prompts import Prompt, typed_ids
from microtome.records.edits import DirectionSpec, EditSpec

_LIMIT = 16 << 20  # bytes of a file of prompts

EDITS_HELP = """\
edits, in the order in which they stand, as many as you like:
  --ablate z.2.1                   set head 1 of layer 2 to zero
  --ablate mlp_out.0@3,-1          only at position 3 and at the last
  --mean z.2.1=pronoun             the mean over the prompts of a set
  --position-mean z.2.1=FILE       each position's mean; prompts of the run's length
  --resample z.2.1=FILE            values of one of these prompts, drawn by --seed
  --patch resid_pre.2@10="..."     values of another prompt at the same positions
  --patch resid_pre.2@10:8="..."   position 10 gets what the other has at 8
  --steer resid_post.2=4*word:John,Mary    add 4 x (row of John - row of Mary)
  --steer resid_post.2=3*diff:pronoun,pronoun/corrupt    difference of two means
  --steer z.2.1@-1=-2*pca:FILE,1   component 1 (from 0) of a site over prompts
  --project-out resid_post=word:John       take the part along a direction out
A site without a layer means every layer, one without a head every head. PROMPTS are
an embedded set (its clean prompts; NAME/corrupt for the others), a JSON file of that form,
or a text file with one prompt a line. Strengths count in lengths of the direction as it
is found, or with --unit in lengths of 1.
"""


def add_edits(parser: argparse.ArgumentParser) -> None:
    """The options of edits; what was given comes in one list, ``options.edits``, in its order."""
    for option, (metavar, text) in _OPTIONS.items():
        parser.add_argument(
            f"--{option}", action=_Append, dest="edits", metavar=metavar, help=text, default=[]
        )
    parser.add_argument("--unit", action="store_true", help="make directions length 1")


_OPTIONS = {
    "ablate": ("SITE", "set to zero"),
    "mean": ("SITE=PROMPTS", "set to the mean over prompts"),
    "position-mean": ("SITE=PROMPTS", "set to each position's mean over prompts"),
    "resample": ("SITE=PROMPTS", "set to the values of a prompt drawn by --seed"),
    "patch": ("SITE=PROMPT", "set to the values of another prompt"),
    "steer": ("SITE=STRENGTH*DIRECTION", "add a direction"),
    "project-out": ("SITE=[STRENGTH*]DIRECTION", "take the part along a direction out"),
}


class _Append(argparse.Action):
    """Keeps edits of all kinds in one list, in the order given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        del parser
        kind = str(option_string).removeprefix("--")
        namespace.edits = [*namespace.edits, (kind, str(values))]


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading an edit takes besides its text: ``answer`` gives the token of a word."""

    ids: bool
    seed: int
    unit: bool
    answer: Callable[[str], int]


def check_edits(given: Sequence[tuple[str, str]]) -> None:
    """Refuse what is not written as an edit, before anything is loaded.

    Raises InputError.
    """
    for kind, text in given:
        _split(kind, text)


def read_edit(kind: str, text: str, reader: Reader) -> EditSpec:
    """The edit of an option, for example ``patch`` and ``resid_pre.2@10=The keys``.

    Raises InputError that says how such an edit is written.
    """
    place, value = _split(kind, text)
    site, _, at = place.partition("@")
    positions, _, taken = at.partition(":")
    spec = {"site": site, "positions": _positions(positions), "seed": reader.seed}
    if taken and kind != "patch":
        raise _unreadable(kind, text)
    return EditSpec(**spec | _KINDS[kind](value, reader) | {"from_positions": _positions(taken)})


def _split(kind: str, text: str) -> tuple[str, str]:
    place, equals, value = text.partition("=")
    if bool(equals) == (kind == "ablate") or not place or (equals and not value):
        raise _unreadable(kind, text)
    return place.strip(), value


def _unreadable(kind: str, text: str) -> InputError:
    return InputError(
        f"--{kind} {text} cannot be read.",
        f"Write --{kind} {_OPTIONS[kind][0]}; microtome generate --help shows examples.",
    )


def _positions(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{text!r} are no positions.", "Write for example z.2.1@3,5 or z.2.1@-1 for the last."
        ) from None


def _zero(_value: str, _reader: Reader) -> dict[str, Any]:
    return {"action": "zero"}


def _over(action: str) -> Callable[[str, Reader], dict[str, Any]]:
    return lambda value, reader: {"action": action, "prompts": _prompts(value, reader)}


def _patch(value: str, reader: Reader) -> dict[str, Any]:
    return {"action": "patch", "prompts": (read_prompt(value, ids=reader.ids),)}


def _steer(value: str, reader: Reader) -> dict[str, Any]:
    return {"action": "add", **_weighted(value, reader)}


def _project_out(value: str, reader: Reader) -> dict[str, Any]:
    return {"action": "project out", **_weighted(value, reader)}


_KINDS: dict[str, Callable[[str, Reader], dict[str, Any]]] = {
    "ablate": _zero,
    "mean": _over("mean"),
    "position-mean": _over("position mean"),
    "resample": _over("resample"),
    "patch": _patch,
    "steer": _steer,
    "project-out": _project_out,
}


def _weighted(value: str, reader: Reader) -> dict[str, Any]:
    """``4*word:John,Mary`` or ``word:John``."""
    strength, star, direction = value.partition("*")
    if not star or ":" in strength:
        strength, direction = "1", value
    try:
        number = float(strength)
    except ValueError:
        raise InputError(
            f"{strength!r} is no strength.", "Write for example 4*word:John,Mary."
        ) from None
    return {"strength": number, "direction": _direction(direction, reader)}


def _direction(text: str, reader: Reader) -> DirectionSpec:
    kind, _, rest = text.partition(":")
    parts = [part.strip() for part in rest.split(",")]
    if kind in _DIRECTIONS and 1 <= len(parts) <= 2 and all(parts):
        return _DIRECTIONS[kind](parts, reader)
    raise InputError(
        f"{text!r} is no direction.",
        "Write word:JOHN or word:JOHN,MARY, diff:PROMPTS,OTHERS, pca:PROMPTS or pca:PROMPTS,1.",
    )


def _word(parts: Sequence[str], reader: Reader) -> DirectionSpec:
    token, other = [*map(reader.answer, parts), None][:2]
    return DirectionSpec("unembedding", token=token, other=other, unit=reader.unit)


def _diff(parts: Sequence[str], reader: Reader) -> DirectionSpec:
    if len(parts) != 2:
        raise InputError(
            "A difference needs two sets of prompts.",
            "Write for example diff:pronoun,pronoun/corrupt.",
        )
    prompts, others = (_prompts(part, reader) for part in parts)
    return DirectionSpec("difference", prompts, others, unit=reader.unit)


def _pca(parts: Sequence[str], reader: Reader) -> DirectionSpec:
    try:
        component = int(parts[1]) if len(parts) == 2 else 0
    except ValueError:
        raise InputError(
            f"{parts[1]!r} is no component.", "Count from 0, for example pca:pronoun,0."
        ) from None
    return DirectionSpec("component", _prompts(parts[0], reader), component=component)


_DIRECTIONS: dict[str, Callable[[Sequence[str], Reader], DirectionSpec]] = {
    "word": _word,
    "diff": _diff,
    "pca": _pca,
}


def _prompts(name: str, reader: Reader) -> tuple[Prompt, ...]:
    """The prompts of a set or a file."""
    from microtome.prompt_sets import load_prompt_set

    path = Path(name).expanduser()
    if path.is_file() and path.suffix != ".json":
        return _prompts_in(path, reader)
    stem, slash, side = name.rpartition("/")
    if slash and side in ("clean", "corrupt"):
        return tuple(getattr(pair, side) for pair in load_prompt_set(stem).pairs)
    return tuple(pair.clean for pair in load_prompt_set(name).pairs)


def _prompts_in(path: Path, reader: Reader) -> tuple[Prompt, ...]:
    """The lines of a text file."""
    try:
        if path.stat().st_size > _LIMIT:
            raise InputError(f"{path.name} is too large for a list of prompts.")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror}).") from error
    found = tuple(read_prompt(line, ids=reader.ids) for line in lines if line.strip())
    if not found:
        raise InputError(f"{path.name} holds no prompts.", "Write one a line.")
    return found


def read_prompt(text: str, *, ids: bool) -> Prompt:
    """A prompt as typed: text, or token ids.

    Raises InputError for what are no ids.
    """
    if not ids:
        return text
    found = typed_ids(text)
    if found is None:
        raise InputError(f"{text!r} are no token ids.", "Give whole numbers, or leave out --ids.")
    return found
