"""Edits, and the run under them, come back from a session's file as they were."""

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session, identity, trace

from microtome.errors import ModelMismatch, SessionDamaged
from microtome.records.edits import DirectionSpec, EditSet, EditSpec
from microtome.records.marks import Marks
from microtome.session.lazy import LazyArray
from microtome.session.reader import info, open_session
from microtome.session.verify import verify_session
from microtome.session.writer import estimate, save_session
from microtome.sites import SITES

EVERYTHING = (*SITES, "logits")
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


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A session's file with edits and sets of them; shared, so read only."""
    return save_session(tmp_path_factory.mktemp("marked") / "marks.h5",
                        replace(full_session(), marks=MARKS))  # fmt: skip


@pytest.fixture
def with_marks_json(marked, tmp_path):
    def written(held):
        path = Path(shutil.copy(marked, tmp_path / "marks.h5"))
        with h5py.File(path, "a") as file:
            del file["annotations/marks_json"]
            file["annotations/marks_json"] = np.frombuffer(held.encode(), np.uint8)
        return path

    return written


def test_edits_and_their_named_sets_come_back(marked, tmp_path):
    found = open_session(marked)
    assert found.marks == MARKS
    assert saved(found, tmp_path, "again.h5").marks == MARKS


@pytest.mark.parametrize("held", BAD_EDITS)
def test_edits_that_cannot_be_understood_are_damage(with_marks_json, held):
    path = with_marks_json(NO_MARKS % f', "edits": [{held}]')
    with pytest.raises(SessionDamaged, match="annotations"):
        open_session(path)


def test_marks_from_before_there_were_edits_and_fields_of_a_newer_version_are_read(with_marks_json):
    assert open_session(with_marks_json(NO_MARKS % "")).marks.edits == ()
    newer = EDIT.replace("}", ', "colour": 3}')
    path = with_marks_json(NO_MARKS % f', "edits": [{newer}]')
    assert open_session(path).marks.edits == (EditSpec("z.0.1", "zero"),)


@pytest.fixture(scope="module")
def session():
    model = identity()
    edited = replace(trace(model, seed=5), edits=("zero ablation of z.3.1 at 2",))
    return full_session(model=model, edited=edited, marks=MARKS)


@pytest.fixture(scope="module")
def path(session, tmp_path_factory):
    return save_session(tmp_path_factory.mktemp("saved") / "edited.h5", session, include=EVERYTHING)


def test_the_run_with_edits_comes_back_bit_by_bit_beside_the_others(session, path, tmp_path):
    found = open_session(path)
    assert_same(found, session)
    assert isinstance(found.edited.activations["pattern"].values, LazyArray)
    again = save_session(tmp_path / "again.h5", found)
    assert_same(open_session(again), session)
    assert verify_session(path).good
    assert info(path)["edited"]["edits"] == ["zero ablation of z.3.1 at 2"]


def test_a_run_of_other_sites_and_length_has_its_own_axes(session, tmp_path):
    short = trace(
        session.model, n=7, k=3, sites=("pattern", "resid_post"), layers=(1,), logits=False
    )
    found = saved(replace(session, edited=short, traces=session.traces[:1]), tmp_path)
    assert_same(found.edited, short)


def test_what_is_wrong_with_the_run_is_found_on_opening(session, path, tmp_path):
    with pytest.raises(ModelMismatch):
        save_session(
            tmp_path / "other.h5", replace(session, edited=trace(identity(fingerprint="x")))
        )
    copy = Path(shutil.copy(path, tmp_path / "bad.h5"))
    with h5py.File(copy, "a") as file:
        file["edited/tokens/ids"][0, 0] = 10**6
    with pytest.raises(SessionDamaged, match="token ids"):
        open_session(copy)
    assert not verify_session(copy).good


def test_its_size_is_told_before_and_nothing_is_written_without_one(session, tmp_path):
    sizes = dict(estimate(session))
    assert sizes["run with edits"] > 0
    path = save_session(tmp_path / "plain.h5", replace(session, edited=None))
    with h5py.File(path) as file:
        assert "edited" not in file
    assert open_session(path).edited is None
