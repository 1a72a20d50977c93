"""Files made to do harm: each refused by its reason before anything of it is used."""

import shutil

import h5py
import pytest
from hostile.sessions import HARMS
from session_records import assert_same, full_session, refused

from microtome.errors import MicrotomeError, SessionDamaged
from microtome.session.reader import info, open_session
from microtome.session.safety import without_plugins
from microtome.session.verify import verify_session


@pytest.mark.parametrize(
    "filters", [{"compression": "gzip", "shuffle": True}, {"compression": "lzf"}]
)
def test_a_file_that_another_program_packed_opens(session_file, tmp_path, filters):
    path = tmp_path / "packed.h5"
    shutil.copy(session_file, path)
    with h5py.File(path, "r+") as file:
        for name in ("activations/z", "attention/pattern"):
            held, attributes = file[name][()], dict(file[name].attrs)
            del file[name]
            made = file.create_dataset(name, data=held, chunks=True, fletcher32=True, **filters)
            made.attrs.update({k: v for k, v in attributes.items() if k != "DIMENSION_LIST"})
    assert_same(open_session(path), full_session())


@pytest.mark.parametrize("name", ["external link", "variable text", "depth"])
def test_the_child_refuses_with_the_same_reason(session_copy, tmp_path, name):
    edit, reason = HARMS[name]
    with h5py.File(session_copy, "r+") as file:
        edit(file, tmp_path)
    refused(session_copy, SessionDamaged, reason)
    with pytest.raises(MicrotomeError, match=reason):
        verify_session(session_copy)
    with pytest.raises(MicrotomeError, match=reason):
        info(session_copy)


def test_plugin_folders_are_not_searched_and_come_back(session_copy):
    before = [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())]
    assert before
    open_session(session_copy)
    with without_plugins():
        assert h5py.h5pl.size() == 0
    assert [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())] == before
