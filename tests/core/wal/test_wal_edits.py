"""Every kind of section edited, added and taken out: the file is as if it had been saved whole."""

import random
import warnings

import h5py
import pytest
import xarray
from h5py import h5o
from session_records import assert_same
from wal_sessions import EDITS, content, edited, numbered, rounds, small_session

from microtome.session.log import log_of
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.verify import verify_session
from microtome.session.writer import save_session


def opened(path):
    """A store at work on a file, and the session in it."""
    session, store = open_session(path), SessionStore()
    store.opened(path, session, None, {})
    return session, store


def as_saved_whole(path, session):
    plain = save_session(path.with_name("plain.h5"), session)
    assert_same(open_session(path), open_session(plain))
    assert content(path) == content(plain)


def address(each):
    return h5o.get_info(each.id).addr


def references(path):
    """Axes lead to what is in the file, and name in turn exactly what has them."""
    with h5py.File(path, "r") as file:
        found, named, used = set(), set(), set()

        def look(_, each):
            found.add(address(each))
            for target, axis in each.attrs.get("REFERENCE_LIST", ()):
                named.add((address(each), address(file[target]), int(axis)))
            if "DIMENSION_LIST" in each.attrs:
                for axis, dimension in enumerate(each.dims):
                    used.update((address(one), address(each), axis) for one in dimension.values())

        file.visititems(look)
        assert named == used
        assert {one for scale, target, _ in used for one in (scale, target)} <= found
        assert len(used) > 10


def default_plot(path):
    with h5py.File(path, "r") as file:
        if "entry" in file:
            name = file["entry"].attrs["default"].decode()
            assert f"entry/{name}" in file
            assert "signal" in file[f"entry/{name}"].attrs


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_session(tmp_path_factory.mktemp("saved") / "held.h5", small_session())


@pytest.fixture
def path(saved, tmp_path):
    place = tmp_path / "held.h5"
    place.write_bytes(saved.read_bytes())
    return place


def test_each_kind_of_edit_by_itself(path):
    session, store = opened(path)
    for name, change in EDITS.items():
        for seed in range(rounds(1, 10)):
            one = session.__class__(**{**vars_of(session), **change(session, random.Random(seed))})
            store.save(path, one, None)
            as_saved_whole(path, one)
            assert not log_of(path).stat().st_size > 200, name
    store.save(path, session, None)
    assert content(path) == content(save_session(path.with_name("plain.h5"), session))
    references(path)
    assert verify_session(path).good


def vars_of(session):
    return {name: getattr(session, name) for name in session.__dataclass_fields__}


@pytest.mark.parametrize("seed", range(rounds(1, 60)))
def test_edits_in_any_order(path, seed):
    dice = random.Random(seed)
    session, store = opened(path)
    last = session
    for number in range(rounds(5, 20)):
        session = edited(session, dice)
        if dice.random() < 0.6:
            assert store.keep(path, session, None)
            assert_same(open_session(path), last)  # others see what was saved
        else:
            store.save(path, session, None)
            last = session
            as_saved_whole(path, session)
        if number == 3:
            store.close()  # what was not saved is forgotten
            session, store = opened(path)
            assert_same(session, last)
    store.save(path, session, None)
    store.close()
    as_saved_whole(path, session)
    references(path)
    default_plot(path)
    assert verify_session(path).good
    assert sorted(each.name for each in path.parent.iterdir()) == ["held.h5", "plain.h5"]


def test_libraries_of_others_open_an_edited_file(path):
    session, store = opened(path)
    for seed in range(8):
        session = edited(session, random.Random(seed))
        store.keep(path, session, None)
    session = numbered(session, 5)
    store.save(path, session, None)
    plain = save_session(path.with_name("plain.h5"), session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        trees = [xarray.open_datatree(each, engine="h5netcdf") for each in (path, plain)]
    try:
        one, other = ({node.path: node.dataset for node in tree.subtree} for tree in trees)
        for name in set(other) - {"/manifest", "/manifest/changing"}:
            assert set(one[name].variables) == set(other[name].variables), name
            for key, values in other[name].variables.items():
                assert one[name][key].dims == values.dims
                assert one[name][key].identical(other[name][key]), (name, key)
    finally:
        for tree in trees:
            tree.close()


def test_a_file_of_the_version_before_gets_its_second_table(path):
    """Its checksums lay in one table; the first edit parts them."""
    with h5py.File(path, "r+") as file:
        rows = file["manifest/changing"]
        table = {name: rows[name][()] for name in ("path", "chunk_index", "stored_bytes", "crc32")}
        whole = {name: [*file[f"manifest/{name}"][()], *values] for name, values in table.items()}
        del file["manifest"]
        axis = file.create_dataset("manifest/stored_chunk", (len(whole["path"]),), "i1")
        axis.make_scale("This is a netCDF dimension but not a netCDF variable.")
        for name, values in whole.items():
            dtype = h5py.string_dtype("utf-8", 60) if name == "path" else table[name].dtype
            file["manifest"].create_dataset(name, data=values, dtype=dtype)
    assert verify_session(path).good
    session, store = opened(path)
    one = edited(session, random.Random(2))
    store.save(path, one, None)
    assert verify_session(path).good
    as_saved_whole(path, one)
    with h5py.File(path) as file:
        assert len(file["manifest/changing/path"])
