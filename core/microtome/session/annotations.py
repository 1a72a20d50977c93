"""The user's marks in a session file: notes as a table, the rest as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from microtome.records.feature_edit import FEATURE_MODES
from microtome.records.hypothesis import Hypothesis, hypothesis_of
from microtome.records.marks import GraphView, Marks, Note, PointGroup, Supernode
from microtome.records.units import Unit
from microtome.session.dictionaries import label_rows, read_labels
from microtome.session.edit_lists import as_json, read_edits, read_feature_edits, read_sets
from microtome.session.handle import Handle
from microtome.session.parts import GroupBuilder, Part

ANNOTATIONS = "/annotations"
_TOKEN = "token/"
_MOST = 1000  # hypotheses of a session


def annotations_part(marks: Marks, root: Mapping[str, int]) -> Part:
    """The group ``/annotations``."""
    about = {"encoding-type": "annotations", "encoding-version": "1.0"}
    group = GroupBuilder(ANNOTATIONS, root, about)
    if marks.notes:
        shape = (len(marks.notes),)
        for name in ("target", "text", "time"):
            group.add_text(name, ("note",), [getattr(n, name) for n in marks.notes], shape)
        places = np.array([_position(note.target) for note in marks.notes], np.int32)
        group.add("position", ("note",), places)
    group.add_json("marks_json", {
        "names": dict(marks.names), "pins": marks.pins, "hidden": marks.hidden,
        "supernodes": [asdict(each) for each in marks.supernodes],
        "point_groups": [asdict(each) for each in marks.point_groups],
        "views": [{"name": each.name, "state": dict(each.state)} for each in marks.views],
        "edits": as_json(marks.edits),
        "edit_sets": [{"name": s.name, "edits": as_json(s.edits)} for s in marks.edit_sets],
        "hypotheses": [each.plain() for each in marks.hypotheses],
        "labels": label_rows(marks.labels),
        "feature_edits": [each.as_json() for each in marks.feature_edits],
        "feature_mode": marks.feature_mode,
        "lesion": marks.lesion,
    })  # fmt: skip
    return group.part("annotations")


def read_annotations(handle: Handle) -> Marks:
    """The marks of a file, none when it holds none.

    Raises KeyError, TypeError or ValueError for what is not understood.
    """
    if handle.kind(f"{ANNOTATIONS}/marks_json") is None:
        return Marks()
    held = handle.json(f"{ANNOTATIONS}/marks_json")
    return Marks(
        notes=_notes(handle),
        names=MappingProxyType({str(k): str(v) for k, v in held["names"].items()}),
        pins=_texts(held["pins"]),
        hidden=_texts(held["hidden"]),
        supernodes=tuple(
            Supernode(str(g["name"]), _texts(g["nodes"]), bool(g["collapsed"]))
            for g in held["supernodes"]
        ),
        point_groups=tuple(
            PointGroup(
                str(g["name"]), int(g["colour"]), _points(g["points"]), str(g.get("prompts", ""))
            )
            for g in held["point_groups"]
        ),
        views=tuple(GraphView(str(v["name"]), dict(v["state"])) for v in held["views"]),
        # Absent in files that were written before there were any.
        edits=read_edits(held.get("edits", [])),
        edit_sets=read_sets(held.get("edit_sets", [])),
        hypotheses=_hypotheses(held.get("hypotheses", [])),
        labels=read_labels(held.get("labels", [])),
        feature_edits=read_feature_edits(held.get("feature_edits", [])),
        feature_mode=_mode(held.get("feature_mode", Marks().feature_mode)),
        lesion=tuple(str(Unit.parse(one)) for one in _texts(held.get("lesion", []))),
    )


def _mode(held: Any) -> str:
    if held not in FEATURE_MODES:
        raise ValueError(f"{held!r} is no way that edits of features act")
    return str(held)


def _notes(handle: Handle) -> tuple[Note, ...]:
    if handle.kind(f"{ANNOTATIONS}/target") is None:
        return ()
    columns = [handle.texts(f"{ANNOTATIONS}/{name}") for name in ("target", "text", "time")]
    return tuple(Note(*row) for row in zip(*columns, strict=True))


def _hypotheses(held: Any) -> tuple[Hypothesis, ...]:
    if not isinstance(held, list) or len(held) > _MOST:
        raise TypeError(f"expected a list of at most {_MOST} hypotheses")
    return tuple(hypothesis_of(one) for one in held)


def _texts(held: Any) -> tuple[str, ...]:
    if not isinstance(held, list):
        raise TypeError(f"expected a list of names, got {type(held).__name__}")
    return tuple(str(entry) for entry in held)


def _points(held: Any) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((int(prompt), int(position)) for prompt, position in held))


def _position(target: str) -> int:
    number = target.removeprefix(_TOKEN)
    return int(number) if target.startswith(_TOKEN) and number.isdigit() else -1
