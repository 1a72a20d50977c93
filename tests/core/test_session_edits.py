"""Edits, and the run under them, come back from a session's file as they were."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from session_records import full_session

from microtome.errors import SessionDamaged
from microtome.records.edits import DirectionSpec, EditSet, EditSpec
from microtome.records.marks import Marks
from microtome.session.reader import open_session
from microtome.session.writer import save_session

CUT = EditSpec("z.3.1", "mean", (2, -1), prompts=("Mary went", (4, 5)), on=False)
NEURON = EditSpec("mlp_post.1", "zero", neuron=4)
SWAP = EditSpec(
    "resid_pre.2", "patch", (3,), prompts=("John went",), from_positions=(1,), from_layer=0
)
PUSH = EditSpec(
    "resid_post.1", "add", strength=-2.5, direction=DirectionSpec("unembedding", token=7, other=3)
)
MARKS = Marks(
    edits=(CUT, NEURON, SWAP, PUSH),
    edit_sets=(EditSet("no names", (CUT,)), EditSet("nothing", ())),
)
EDIT = '{"site": "z.0.1", "action": "zero", "on": true}'
BAD_EDITS = (
    EDIT.replace("z.0.1", "nowhere.at.all"), EDIT.replace("zero", "explode"),
    EDIT.replace("true", '"yes"'), '{"site": "z", "action": "add", "strength": null}',
    '{"site": "z", "action": "zero", "positions": ["last"]}', '{"action": "zero"}', "7",
    '{"site": "z", "action": "add", "direction": {"kind": "sideways"}}',
)  # fmt: skip
NO_MARKS = (
    '{"names": {}, "pins": [], "hidden": [], "supernodes": [], "point_groups": [], "views": []%s}'
)


def saved(session, tmp_path, name="session.h5"):
    return open_session(save_session(tmp_path / name, session))


def with_marks_json(tmp_path, held):
    path = save_session(tmp_path / "marks.h5", replace(full_session(), marks=MARKS))
    with h5py.File(path, "a") as file:
        del file["annotations/marks_json"]
        file["annotations/marks_json"] = np.frombuffer(held.encode(), np.uint8)
    return path


def test_edits_and_their_named_sets_come_back(tmp_path):
    found = saved(replace(full_session(), marks=MARKS), tmp_path)
    assert found.marks == MARKS
    assert saved(found, tmp_path, "again.h5").marks == MARKS


@pytest.mark.parametrize("held", BAD_EDITS)
def test_edits_that_cannot_be_understood_are_damage(tmp_path, held):
    path = with_marks_json(tmp_path, NO_MARKS % f', "edits": [{held}]')
    with pytest.raises(SessionDamaged, match="annotations"):
        open_session(path)


def test_marks_from_before_there_were_edits_and_fields_of_a_newer_version_are_read(tmp_path):
    assert open_session(with_marks_json(tmp_path, NO_MARKS % "")).marks.edits == ()
    newer = EDIT.replace("}", ', "colour": 3}')
    path = with_marks_json(tmp_path, NO_MARKS % f', "edits": [{newer}]')
    assert open_session(path).marks.edits == (EditSpec("z.0.1", "zero"),)
