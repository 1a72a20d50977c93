"""Writes a sample session, and what is in it as plain values, with the Microtome that is imported.

It runs with the program of any format version since 1.0: samples/README.md says how.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import microtome as mt
from microtome.records.edits import EditSet, EditSpec
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome.records.marks import GraphView, Marks, Note, PointGroup, Supernode

_NOT_STORED = {"live"}  # what leads from a run to the model in memory


def plain(value: Any) -> Any:
    """A record as JSON can hold it; of an array the shape, type, exact sum and its ends."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        held = np.asarray(value[...])
        if held.dtype.kind in "USb":
            return {"shape": list(held.shape), "values": held.tolist()}
        flat = held.astype(np.float64).ravel().tolist()
        told = {"sum": math.fsum(flat), "first": flat[:3], "last": flat[-3:]}
        return {"shape": list(held.shape), "type": held.dtype.str, **told}
    if is_dataclass(value):
        stored = (one.name for one in fields(value) if one.name not in _NOT_STORED)
        return {name: plain(getattr(value, name)) for name in stored}
    if hasattr(value, "items"):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value if isinstance(value, (int, float, str)) or value is None else str(value)


def words() -> mt.Session:
    """A question to the smallest embedded model; of the runs what makes a small file."""
    model = mt.load_model("induction-exact-tiny")
    session = mt.examine(model, mt.Question("ant bee cat ant", answer="bee", wrong="cat"))
    runs = tuple(_few(run, ("resid_post", "pattern")) for run in session.traces)
    held: dict[str, Any] = {}
    if "dictionaries" in {one.name for one in fields(mt.Session)}:
        held["dictionaries"] = (mt.load_dictionary("words-4l/resid_post.3").identity,)
    return replace(session, traces=runs, analyses=_without_spaces(session), **held)


def image() -> mt.Session:
    """A question about an image, with the channels that answer it."""
    model = mt.load_model("shapes-resnet")
    asked = mt.Question(mt.load_image_set("shapes").image(17), answer="cup", wrong="house")
    session = mt.examine(model, asked)
    circuit = mt.channel_graph(model, asked, tau=3e-2, keep=4)
    runs = tuple(_few(run, ()) for run in session.traces)
    return replace(session, traces=runs, analyses=_without_spaces(session), circuit=circuit)


def _few(run: mt.Trace, sites: tuple[str, ...]) -> mt.Trace:
    kept = {name: one for name, one in run.activations.items() if name in sites}
    return replace(run, logits=None, activations=kept)


def _without_spaces(session: mt.Session) -> dict[str, Any]:
    """Analyses but for the largest: the points of a prompt set."""
    return {name: one for name, one in session.analyses.items() if one.kind != "projection"}


def _marks(session: mt.Session) -> Marks:
    assert session.circuit
    first, second, *_, last = session.circuit.node_id
    boxes = (Box("previous", ("a0.h0",), "token(at - 1)"), Box("answer", ("a1.h0",), "at", (-1,)))
    arrows = (Arrow("previous", "answer", "k"), Arrow("answer", "logits", "logits"))
    later: dict[str, Any] = {}
    known = {one.name for one in fields(Marks)}
    if "labels" in known:
        from microtome.records.feature_labels import FeatureLabel

        later["labels"] = (FeatureLabel("ab" * 32, 7, "dates"),)
    if "lesion" in known:
        later["lesion"] = ("pool/12",)
    return Marks(
        notes=(Note(first, "copies – 日本", "2026-11-28T10:00:00+00:00"), Note("token/1", "second"),
               Note("", "about the session")),
        names={first: "the copier"}, pins=(second,), hidden=(last,),
        supernodes=(Supernode("pair", (first, second), False),),
        point_groups=(PointGroup("these", 2, ((-1, 0), (-1, 2))),),
        views=(GraphView("close", {"nodes": 12, "zoom": 1.5}),),
        edits=(EditSpec("z.0.1", "zero"),),
        edit_sets=(EditSet("off", (EditSpec("z.1.0", "mean"),)),),
        hypotheses=(Hypothesis(boxes, arrows, title="it copies"),), **later,
    )  # fmt: skip


def main(kind: str, place: Path) -> None:
    """Write the sample and, beside it, its values."""
    session = {"words": words, "image": image}[kind]()
    view = {"docks": [1, 2], "selection": {"layer": 1}}
    session = replace(session, marks=_marks(session), view=view)
    mt.save_session(place, session)
    text = json.dumps(plain(session), ensure_ascii=False)
    place.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
