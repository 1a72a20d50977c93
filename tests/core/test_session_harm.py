"""Files made to do harm: each refused by its reason before anything of it is used."""

import shutil
import zlib

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session, refused

from microtome.errors import MicrotomeError, SessionDamaged
from microtome.session.reader import info, open_session
from microtome.session.safety import without_plugins
from microtome.session.verify import verify_session


def outside(folder):
    """Another file of the user, which no session may read."""
    path = folder / "secret.h5"
    if not path.exists():
        with h5py.File(path, "x") as file:
            file["x"] = np.arange(4.0)
    return str(path)


def external(file, folder):
    file["out"] = h5py.ExternalLink(outside(folder), "/x")


def virtual(file, folder):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(outside(folder), "x", (4,))
    file.create_virtual_dataset("v", layout)


def external_storage(file, folder):
    file.create_dataset("e", (8,), "f8", external=[(outside(folder), 0, 64)])


def huge(file, shape, chunks=None):
    file.create_dataset("huge", shape, "f4", chunks=chunks)


def bomb(file, _):
    data = np.zeros((1, 40 << 20), np.uint8)
    file.create_dataset("bomb", data=data, chunks=(1, 1 << 20), compression="gzip")


def growing(file, _):
    made = file["view"].create_dataset(
        "x_json", (1 << 20,), "u1", chunks=(1 << 20,), compression="gzip"
    )
    made.id.write_direct_chunk((0,), zlib.compress(bytes(64 << 20)))
    del file["view/state_json"]
    file["view/state_json"] = made


def unknown_filter(file, _):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4,))
    plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"odd", h5py.h5t.IEEE_F32LE, space, plist)


def hole(file, _):
    held = file.create_dataset("hole", (8, 1 << 10), "f4", chunks=(1, 1 << 10))
    held[0] = 1.0


def many(file, _):
    group = file.create_group("many")
    for number in range(20_050):
        group.create_group(str(number))


def deep(file, _):
    path = "/".join("d" * 20)
    file.create_group(path)


def cycle(file, _):
    file["loop"] = file["circuit"].parent


HARMS = {
    "external link": (external, "link to another"),
    "soft link": (lambda f, _: f.update({"soft": h5py.SoftLink("/tokens")}), "link to another"),
    "dangling link": (lambda f, _: f.update({"soft": h5py.SoftLink("/no")}), "link to another"),
    "virtual": (virtual, "from other datasets"),
    "external storage": (external_storage, "another file"),
    "cycle": (cycle, "already visited"),
    "4 TB": (lambda f, _: huge(f, (1 << 40,), (1 << 20,)), "claims 4096 GB"),
    "1 GB of nothing": (lambda f, _: huge(f, (1 << 28,)), "and stores 0"),
    "a large chunk": (
        lambda f, _: f.create_dataset("c", data=np.zeros(20 << 20, "f4"), chunks=(20 << 20,)),
        "chunks of 80 MB",
    ),
    "compression": (bomb, "claims 41943040 bytes and stores"),
    "growing chunk": (growing, "grows beyond its size"),
    "a large packed chunk": (
        lambda f, _: f.create_dataset(
            "p", data=np.zeros(2 << 20, "f8"), chunks=(1 << 20,), compression="lzf"
        ),
        "chunks of 8 MB",
    ),
    "unknown filter": (unknown_filter, "unknown filter 32099"),
    "a hole": (hole, "has 1 of 8 chunks"),
    "dimensions": (lambda f, _: f.create_dataset("n", (1,) * 9, "f4"), "9 dimensions"),
    "a wide cell": (lambda f, _: f.create_dataset("w", (1,), "S70000"), "elements of 70000"),
    "variable text": (lambda f, _: f.update({"t": "variable"}), "variable-length text"),
    "variable attribute": (
        lambda f, _: f["tokens"].attrs.update({"t": "variable"}),
        "variable-length text",
    ),
    "variable array": (
        lambda f, _: f.create_dataset("vl", (2,), h5py.vlen_dtype(np.int32)),
        "the type vlen",
    ),
    "compound": (
        lambda f, _: f.create_dataset("c", (2,), [("a", "i4"), ("b", "f4")]),
        "the type compound",
    ),
    "opaque": (
        lambda f, _: f.create_dataset("o", (2,), h5py.opaque_dtype(np.dtype("V8"))),
        "type opaque",
    ),
    "reference": (lambda f, _: f.create_dataset("r", (2,), h5py.ref_dtype), "reference"),
    "named type": (lambda f, _: f.update({"type": np.dtype("f8")}), "neither a group"),
    "null space": (lambda f, _: f.update({"null": h5py.Empty("f4")}), "no shape"),
    "many objects": (many, "more than 20000 objects"),
    "depth": (deep, "deeper than 16"),
    "attributes": (
        lambda f, _: [f["tokens"].attrs.create(f"a{n}", n) for n in range(70)],
        "has 72 attributes",
    ),
    "markup": (lambda f, _: f.create_group("<img src=x>"), "markup"),
    "line break": (lambda f, _: f.create_group("a\nb"), "control"),
    "right to left": (lambda f, _: f.create_group("a\u202eb"), "control"),
    "long name": (lambda f, _: f.create_group("n" * 5000), "name of 5000"),
}


@pytest.mark.parametrize("name", HARMS)
def test_harm_is_refused_by_its_reason(session_copy, tmp_path, name, monkeypatch):
    edit, reason = HARMS[name]
    with h5py.File(session_copy, "r+") as file:
        edit(file, tmp_path)
    monkeypatch.setattr("microtome.session.reader._begin_trial", lambda _: None)
    refused(session_copy, SessionDamaged, reason)


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
