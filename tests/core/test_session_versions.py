"""Files of all versions: older ones mean what they meant, of newer ones nothing is lost."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session
from session_samples import plain

from microtome.errors import StorageError
from microtome.records.marks import Marks
from microtome.session.reader import SessionFile, open_session
from microtome.session.schema import MAJOR, MINOR
from microtome.session.store import SessionStore
from microtome.session.unknown import KNOWN, KNOWN_ATTRIBUTES
from microtome.session.verify import verify_session
from microtome.session.waste import is_much, wasted
from microtome.session.writer import save_session

SAMPLES = sorted(Path(__file__).with_name("samples").glob("*.h5"))
LATER = f"{MAJOR}.{MINOR + 1}"


def opened(path):
    """The session of a file, and a store that edits it."""
    store = SessionStore()
    with_names = SessionFile(path)
    session = with_names.session
    store.opened(path, session, None, with_names.analysis_groups())
    return session, store


def expect_told(told, found, where="session"):
    """Everything that was told when the file was made is found; there may be more by now."""
    if isinstance(told, dict):
        for key, value in told.items():
            expect_told(value, found[key], f"{where}.{key}")
    elif isinstance(told, list):
        assert len(told) == len(found), where
        for number, value in enumerate(told):
            expect_told(value, found[number], f"{where}[{number}]")
    else:
        assert told == found, where


def test_there_is_a_sample_of_every_version():
    held = {path.stem.split("-")[1] for path in SAMPLES}
    assert held == {f"{MAJOR}.{minor}" for minor in range(MINOR + 1)}
    assert all(path.stat().st_size < 100_000 for path in SAMPLES)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_of_any_version_is_read_edited_and_saved(sample, tmp_path):
    path = tmp_path / sample.name
    path.write_bytes(sample.read_bytes())
    told = json.loads(sample.with_suffix(".json").read_text(encoding="utf-8"))
    created, uuid = told.pop("created"), told.pop("uuid")
    session, store = opened(path)
    assert session.created or not created
    assert session.uuid == uuid or not uuid
    expect_told(told, plain(session))
    assert verify_session(path).good
    marks = replace(session.marks, pins=("a pin",))
    wanted = replace(session, marks=marks)
    assert store.keep(path, wanted, None)
    store.save(path, wanted, None)
    store.close()
    expect_told(told | {"marks": told["marks"] | {"pins": ["a pin"]}}, plain(open_session(path)))
    assert verify_session(path).good
    with h5py.File(path) as file:
        assert file.attrs["format_version"].decode() == f"{MAJOR}.{MINOR}"
    whole = save_session(tmp_path / "whole.h5", open_session(path))
    assert_same(open_session(whole).marks, marks)
    assert verify_session(whole).good


@pytest.fixture
def later(tmp_path):
    """A file of the next minor version, with what this one cannot know."""
    path = save_session(tmp_path / "later.h5", full_session(marks=Marks(pins=("a",))))
    with h5py.File(path, "r+") as file:
        file.attrs.modify("format_version", np.bytes_(LATER))
        file.attrs["mood"] = np.bytes_("calm")
        file["single"] = np.float32(2.5)
        deep = file.create_group("later/deep")
        deep.attrs["level"] = 3
        deep["row"] = np.arange(700, dtype=np.int32)
        deep["row"].make_scale("row")
        deep["words"] = np.array([b"a", "é".encode()], "S4")
        deep["wide"] = np.arange(1_400_000.0).reshape(700, 2000)
        deep["wide"].dims[0].attach_scale(deep["row"])
        by_layer = file.create_dataset("later/by_layer", data=np.eye(3, 12, dtype=np.float32))
        by_layer.dims[0].attach_scale(file["layer"])
        by_layer.dims[1].attach_scale(file["d_model"])
        file["annotations/extra"] = np.arange(5)
        file["annotations"].attrs["by"] = 7
        file["model/extra"] = np.arange(4)
        file["circuit/node_worth"] = np.arange(9.0)
        file["circuit/node_worth"].dims[0].attach_scale(file["circuit/node_id"].dims[0][0])
    return path


def unknown_in(path, *, root_only=False):
    """What the fixture wrote, as it is found."""
    with h5py.File(path) as file:
        deep = file["later/deep"]
        found = [
            file.attrs["format_version"].decode(), file.attrs["mood"], float(file["single"][()]),
            int(deep.attrs["level"]), deep["words"][()].tolist(), float(deep["wide"][()].sum()),
            deep["wide"].dims[0][0].name, deep["row"][()].sum(),
            float(file["later/by_layer"][1, 1]),
            [axis[0].name for axis in file["later/by_layer"].dims],
        ]  # fmt: skip
        if not root_only:
            found += [file["annotations/extra"][()].tolist(), int(file["annotations"].attrs["by"])]
            found += [file["model/extra"][()].tolist()]
        return found


def test_edits_keep_what_a_newer_minor_version_wrote(later):
    before = unknown_in(later)
    session, store = opened(later)
    for number in range(3):
        session = replace(session, marks=Marks(pins=(f"pin {number}",)))
        store.save(later, session, None)
    assert unknown_in(later) == before
    with h5py.File(later) as file:
        assert "circuit/node_worth" in file
        assert file.attrs["format_version"].decode() == LATER
    assert_same(open_session(later).marks, session.marks)
    # What speaks of the rows of a table that is written anew goes with it.
    fewer = replace(session.circuit, metadata={"method": "another"})
    session = replace(session, circuit=fewer)
    store.save(later, session, None)
    assert unknown_in(later) == before
    with h5py.File(later) as file:
        assert "circuit/node_worth" not in file
    assert_same(open_session(later).circuit, fewer)


def test_a_whole_save_keeps_what_a_newer_minor_version_wrote_into_the_root(later, tmp_path):
    before, plain_file = unknown_in(later, root_only=True), tmp_path / "other.h5"
    session, store = opened(later)
    store.save(plain_file, session, None)
    assert unknown_in(plain_file, root_only=True) == before
    assert_same(open_session(plain_file), session)
    assert verify_session(plain_file).good
    with h5py.File(plain_file) as file:
        assert "later/deep/wide" in {name.decode().strip("/") for name in file["manifest/path"]}
    # As well after edits, over the file itself, and not into the file of another session.
    session = replace(session, marks=Marks(pins=("z",)))
    store.save(plain_file, session, None)
    store.compact(plain_file, session, None)
    assert unknown_in(plain_file, root_only=True) == before
    other = replace(session, uuid="99999999-2222-3333-4444-555555555555")
    store.save(tmp_path / "new.h5", other, None)
    with h5py.File(tmp_path / "new.h5") as file:
        assert "later" not in file
        assert file.attrs["format_version"].decode() == f"{MAJOR}.{MINOR}"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_nothing_in_the_root_of_a_known_version_is_unknown(sample, session_file):
    for path in (sample, session_file):
        with h5py.File(path) as file:
            assert set(file) <= KNOWN
            assert set(file.attrs) <= KNOWN_ATTRIBUTES


def test_a_file_of_a_newer_major_version_is_never_written_to(later, tmp_path):
    with h5py.File(later, "r+") as file:
        file.attrs.modify("format_version", np.bytes_("2.0"))
    before, store = later.read_bytes(), SessionStore()
    session = open_session(later)
    store.looked_at(later)
    assert not store.keep(later, session, None)
    with pytest.raises(StorageError, match=r"newer Microtome.*another name"):
        store.save(later, session, None)
    assert later.read_bytes() == before
    other = store.save(tmp_path / "copy.h5", session, None)
    assert not SessionFile(other).read_only
    assert_same(open_session(other), session)


def test_waste_is_what_a_compact_file_does_not_have(tmp_path):
    path = save_session(tmp_path / "edited.h5", full_session())
    fresh = path.stat().st_size
    with h5py.File(path) as file:
        assert wasted(file, fresh) < 20_000
    session, store = opened(path)
    assert store.waste() == (0, 0)  # nothing was edited yet
    big = session.analyses["odd"]
    rng = np.random.default_rng(0)
    for number in range(5):  # opened again each time, HDF5 knows of no free room
        held = {name: replace(one, values=rng.random(one.values.shape)) if name == "wide" else one
                for name, one in big.arrays.items()}  # fmt: skip
        named = replace(big, arrays=held, title=f"number {number}")
        store.close()
        session, store = opened(path)
        session = replace(session, analyses={**session.analyses, "odd": named})
        store.save(path, session, None)
    waste, size = store.waste()
    assert size == path.stat().st_size
    assert is_much(waste, size)
    gain = store.compact(path, session, None)
    assert gain == size - path.stat().st_size
    assert abs(gain - waste) < 50_000
    assert verify_session(path).good
    assert_same(open_session(path).analyses["odd"], session.analyses["odd"])
    with h5py.File(path) as file:
        assert wasted(file, path.stat().st_size) < 20_000


def test_waste_is_worth_a_word_above_a_fifth_and_a_megabyte():
    assert not is_much(1 << 20, 1 << 21)
    assert is_much((1 << 20) + 1, 1 << 21)
    assert not is_much(10 << 20, 50 << 20)
    assert is_much((10 << 20) + 1, 50 << 20)
