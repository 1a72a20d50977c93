"""Files that are damaged, foreign or made to do harm: refused with the reason, never believed."""

import os
import shutil
import signal
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session

from microtome.errors import (
    MicrotomeError,
    NewerSession,
    NotASession,
    SessionDamaged,
    SessionError,
)
from microtome.session import trial
from microtome.session.handle import Handle
from microtome.session.reader import info, open_session
from microtome.session.verify import compare, verify
from microtome.session.writer import save_session
from microtome.sites import SITES


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.h5"
    return save_session(path, full_session(), include=(*SITES, "logits"))


@pytest.fixture
def copy(good, tmp_path):
    return Path(shutil.copy(good, tmp_path / "copy.h5"))


def refused(path, kind, reason):
    with pytest.raises(kind, match=reason) as caught:
        open_session(path)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_copy_is_tried_in_a_child_and_opens(copy):
    assert_same(open_session(copy), full_session())


# ------------------------------------------------------------------ not a session at all


def test_no_file(tmp_path):
    refused(tmp_path / "absent.h5", SessionError, "There is no file absent.h5")


def test_a_folder(tmp_path):
    refused(tmp_path, NotASession, "is a folder")


def test_a_device():
    refused("/dev/zero", NotASession, "not a plain file")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7 something else", "is not an HDF5 file"),
        (b"\x89HD", "not an HDF5"),
    ],
)
def test_other_files(tmp_path, content, reason):
    path = tmp_path / "other.h5"
    path.write_bytes(content)
    refused(path, NotASession, reason)


def test_hdf5_of_another_program(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "x") as file:
        file.attrs["title"] = "text of variable length"
        file["weights"] = np.zeros(3)
    refused(path, NotASession, "not a Microtome session")


def test_a_program_in_front_of_the_data(good, tmp_path):
    path = tmp_path / "polyglot.h5"
    path.write_bytes(b"#!/bin/sh\n".ljust(512, b" ") + good.read_bytes())
    refused(path, NotASession, "not an HDF5 file")


def test_a_later_major_version(copy):
    with h5py.File(copy, "r+") as file:
        file.attrs.modify("format_version", np.bytes_("2.0"))
        file.attrs["note"] = "whatever that version may hold"
    assert "newest Microtome" in refused(copy, NewerSession, "its format is 2.0")


# ------------------------------------------------------------------ broken files


def test_a_file_cut_short_anywhere(good, tmp_path):
    whole = good.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "cut.h5"
    for length in [8, 9, 100, 2048, len(whole) - 1, *rng.integers(10, len(whole), 20)]:
        path.write_bytes(whole[:length])
        with pytest.raises(SessionDamaged, match=r"cut short|cannot be"):
            Handle(path).inspect()
    refused(path, SessionDamaged, "cut short")


def test_flipped_bytes_are_refused_or_found_by_verifying(tmp_path):
    session = full_session(analyses={}, checks=None, view={})
    small = save_session(tmp_path / "small.h5", session, include=["z"])
    whole, rng = small.read_bytes(), np.random.default_rng(1)
    path = tmp_path / "flipped.h5"
    missed = []
    for place in _places(_stored_ranges(small), rng, 25):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        if not _damage_is_found(path):
            missed.append(place)
    assert not missed


def _stored_ranges(path):
    ranges = []

    def visit(_, item):
        if not isinstance(item, h5py.Dataset):
            return
        if item.chunks is None:
            if item.id.get_offset() is not None:
                ranges.append((item.id.get_offset(), item.id.get_storage_size()))
        else:
            item.id.chunk_iter(lambda chunk: ranges.append((chunk.byte_offset, chunk.size)))

    with h5py.File(path) as file:
        file.visititems(visit)
    return [span for span in ranges if span[1]]


def _places(ranges, rng, count):
    """Every dataset as likely as any other, so that small ones are hit too."""
    for _ in range(count):
        start, size = ranges[rng.integers(len(ranges))]
        yield start + int(rng.integers(size))


def _damage_is_found(path):
    # In this process: a child for each file would take minutes.
    try:
        return not compare(path).good
    except SessionError:
        return True


def test_verifying_names_the_damaged_dataset(good, tmp_path):
    assert verify(good).good
    with h5py.File(good) as file:
        chunk = file["attention/pattern"].id.get_chunk_info(0)
    damaged = bytearray(good.read_bytes())
    damaged[chunk.byte_offset + 17] ^= 4
    path = tmp_path / "flipped.h5"
    path.write_bytes(damaged)
    assert verify(path).damaged == ("/attention/pattern",)


def edits():
    """Ways in which a session can contradict itself, each with the reason that must be named."""

    def replaced(name, values, keep_attributes=True):
        def edit(file):
            held = dict(file[name].attrs) if keep_attributes else {}
            held = {k: v for k, v in held.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST")}
            del file[name]
            file[name] = values
            for key, value in held.items():
                file[name].attrs[key] = value

        return edit

    def removed(name):
        return lambda file: file.pop(name)

    def text_json(name, text):
        return replaced(name, np.frombuffer(text, np.uint8), keep_attributes=False)

    ids = np.zeros((2, 13), np.int32)
    circuit = "circuit/edge_source"
    return {
        "ids outside": (replaced("tokens/ids", ids + 97), "token ids go from 97 to 97"),
        "ids negative": (replaced("tokens/ids", ids - 1), "token ids go from -1"),
        "ids as floats": (replaced("tokens/ids", ids * 1.0), "stored as float64"),
        "ids short": (replaced("tokens/ids", ids[:, :5]), "shape"),
        "ids flat": (replaced("tokens/ids", ids[0]), "tokens have the shape"),
        "one run less": (replaced("tokens/ids", ids[:1]), "for 2 runs"),
        "group for data": (
            lambda file: (file.pop("tokens/ids"), file.create_group("tokens/ids")),
            "/tokens/ids",
        ),
        "data for group": (
            lambda file: (file.pop("circuit"), file.update({"circuit": np.zeros(3)})),
            None,
        ),
        "edges outside": (
            replaced(circuit, np.full(20, 9, np.int32)),
            "names nodes that it does not",
        ),
        "edges missing": (removed("circuit/edge_weight"), "edge_weight"),
        "edges short": (replaced(circuit, np.zeros(19, np.int32)), "has the shape"),
        "model missing": (removed("model"), "model"),
        "question missing": (removed("question/question_json"), "question"),
        "params missing": (removed("analyses/odd/params_json"), "params_json"),
        "wrong layers": (
            lambda file: file["activations/z"].attrs.modify("layers", np.array([0, 1, 3])),
            "names layers",
        ),
        "fewer layers": (
            lambda file: file["activations/z"].attrs.create("layers", np.array([0, 1])),
            "shape",
        ),
        "run outside": (
            lambda file: file["activations/z"].attrs.modify("prompts", np.array([0, 2])),
            "claims 2",
        ),
        "no dims": (
            lambda file: file["analyses/odd/wide"].attrs.pop("dims"),
            "analyses in the session",
        ),
        "wrong dims": (
            lambda file: file["analyses/odd/wide"].attrs.modify("dims", np.bytes_("row")),
            "axis names",
        ),
        "NaN score": (
            lambda file: file["circuit/node_score"].write_direct(np.full(9, np.nan, "f4")),
            "not finite",
        ),
        "JSON of NaN": (text_json("view/state_json", b'{"a": NaN}'), "NaN is not JSON"),
        "JSON of infinity": (text_json("view/state_json", b'{"a": 1e999}'), "not finite"),
        "JSON too deep": (text_json("view/state_json", b"[" * 200_000), "nested too deeply"),
        "JSON deep": (text_json("view/state_json", b"[" * 70 + b"]" * 70), "deeper than 64"),
        "JSON number": (text_json("view/state_json", b"1" * 20_000), "not readable JSON"),
        "JSON of bytes": (text_json("view/state_json", b"\xff\xfe{}"), "not readable JSON"),
        "JSON too long": (text_json("view/state_json", b" " * (17 << 20)), "bytes of JSON"),
        "not UTF-8": (replaced("tokens/text", np.full((2, 13), b"\xff")), "not UTF-8"),
        "version": (
            lambda file: file.attrs.modify("format_version", np.bytes_("one")),
            "not like 1.0",
        ),
    }


@pytest.mark.parametrize("name", edits())
def test_contradictions_are_named(copy, name, monkeypatch):
    edit, reason = edits()[name]
    with h5py.File(copy, "r+") as file:
        edit(file)
    monkeypatch.setattr("microtome.session.reader._begin_trial", lambda _: None)
    if reason is None:
        assert open_session(copy).circuit is None
    else:
        refused(copy, SessionDamaged, reason)


def test_numbers_that_turned_bad_are_refused_when_they_are_read(copy):
    with h5py.File(copy, "r+") as file:
        file["activations/z"][1, 2, 3] = np.inf
    found = open_session(copy)
    assert found.clean.activation("z.2").shape == (13, 4, 3)
    with pytest.raises(SessionDamaged, match=r"/activations/z .* not finite"):
        found.corrupt.activation("z.2")


# ------------------------------------------------------------------ files made to do harm


def harms(folder):
    """Things that a session never holds, each with the reason that must be named."""
    secret = folder / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.arange(4.0)
    raw = folder / "raw.bin"
    raw.write_bytes(bytes(64))
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(secret), "x", (4,))

    def huge(file, shape, chunks=None):
        file.create_dataset("huge", shape, "f4", chunks=chunks)

    def bomb(file):
        data = np.zeros((1, 40 << 20), np.uint8)
        file.create_dataset("bomb", data=data, chunks=(1, 1 << 20), compression="gzip")

    def growing(file):
        made = file["view"].create_dataset(
            "x_json", (1 << 20,), "u1", (1 << 20,), compression="gzip"
        )
        made.id.write_direct_chunk((0,), zlib.compress(bytes(64 << 20)))
        del file["view/state_json"]
        file["view/state_json"] = made

    def unknown_filter(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"odd", h5py.h5t.IEEE_F32LE, space, plist)

    def hole(file):
        held = file.create_dataset("hole", (8, 1 << 10), "f4", chunks=(1, 1 << 10))
        held[0] = 1.0

    def many(file):
        group = file.create_group("many")
        for number in range(20_050):
            group.create_group(str(number))

    def deep(file):
        path = "/".join("d" * 20)
        file.create_group(path)

    def cycle(file):
        file["loop"] = file["circuit"].parent

    return {
        "external link": (
            lambda f: f.update({"out": h5py.ExternalLink(str(secret), "/x")}),
            "link to another",
        ),
        "soft link": (lambda f: f.update({"soft": h5py.SoftLink("/tokens")}), "link to another"),
        "dangling link": (lambda f: f.update({"soft": h5py.SoftLink("/no")}), "link to another"),
        "virtual": (lambda f: f.create_virtual_dataset("v", layout), "from other datasets"),
        "external storage": (
            lambda f: f.create_dataset("e", (8,), "f8", external=[(str(raw), 0, 64)]),
            "another file",
        ),
        "cycle": (cycle, "already visited"),
        "4 TB": (lambda f: huge(f, (1 << 40,), (1 << 20,)), "claims 4096 GB"),
        "1 GB of nothing": (lambda f: huge(f, (1 << 28,)), "and stores 0"),
        "a large chunk": (
            lambda f: f.create_dataset("c", data=np.zeros(20 << 20, "f4"), chunks=(20 << 20,)),
            "chunks of 80 MB",
        ),
        "compression": (bomb, "claims 41943040 bytes and stores"),
        "growing chunk": (growing, "grows beyond its size"),
        "a large packed chunk": (
            lambda f: f.create_dataset(
                "p", data=np.zeros(2 << 20, "f8"), chunks=(1 << 20,), compression="lzf"
            ),
            "chunks of 8 MB",
        ),
        "unknown filter": (unknown_filter, "unknown filter 32099"),
        "a hole": (hole, "has 1 of 8 chunks"),
        "dimensions": (lambda f: f.create_dataset("n", (1,) * 9, "f4"), "9 dimensions"),
        "a wide cell": (lambda f: f.create_dataset("w", (1,), "S70000"), "elements of 70000"),
        "variable text": (lambda f: f.update({"t": "variable"}), "variable-length text"),
        "variable attribute": (
            lambda f: f["tokens"].attrs.update({"t": "variable"}),
            "variable-length text",
        ),
        "variable array": (
            lambda f: f.create_dataset("vl", (2,), h5py.vlen_dtype(np.int32)),
            "the type vlen",
        ),
        "compound": (
            lambda f: f.create_dataset("c", (2,), [("a", "i4"), ("b", "f4")]),
            "the type compound",
        ),
        "opaque": (
            lambda f: f.create_dataset("o", (2,), h5py.opaque_dtype(np.dtype("V8"))),
            "type opaque",
        ),
        "reference": (lambda f: f.create_dataset("r", (2,), h5py.ref_dtype), "reference"),
        "named type": (lambda f: f.update({"type": np.dtype("f8")}), "neither a group"),
        "null space": (lambda f: f.update({"null": h5py.Empty("f4")}), "no shape"),
        "many objects": (many, "more than 20000 objects"),
        "depth": (deep, "deeper than 16"),
        "attributes": (
            lambda f: [f["tokens"].attrs.create(f"a{n}", n) for n in range(70)],
            "has 72 attributes",
        ),
        "markup": (lambda f: f.create_group("<img src=x>"), "markup"),
        "line break": (lambda f: f.create_group("a\nb"), "control"),
        "right to left": (lambda f: f.create_group("a\u202eb"), "control"),
        "long name": (lambda f: f.create_group("n" * 5000), "name of 5000"),
    }


HARMS = (
    "external link", "soft link", "dangling link", "virtual", "external storage", "cycle", "4 TB",
    "1 GB of nothing",
    "growing chunk", "a large packed chunk", "a large chunk", "compression", "unknown filter", "a hole", "dimensions",
    "a wide cell", "variable text", "variable attribute", "variable array", "compound", "opaque",
    "reference", "named type", "null space", "many objects", "depth", "attributes", "markup",
    "line break", "right to left", "long name",
)  # fmt: skip


@pytest.mark.parametrize("name", HARMS)
def test_harm_is_refused_by_its_reason(copy, tmp_path, name, monkeypatch):
    edit, reason = harms(tmp_path)[name]
    with h5py.File(copy, "r+") as file:
        edit(file)
    monkeypatch.setattr("microtome.session.reader._begin_trial", lambda _: None)
    began = time.monotonic()
    refused(copy, SessionDamaged, reason)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "filters", [{"compression": "gzip", "shuffle": True}, {"compression": "lzf"}]
)
def test_a_file_that_another_program_packed_opens(good, tmp_path, filters):
    path = tmp_path / "packed.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        for name in ("activations/z", "attention/pattern"):
            held, attributes = file[name][()], dict(file[name].attrs)
            del file[name]
            made = file.create_dataset(name, data=held, chunks=True, fletcher32=True, **filters)
            made.attrs.update({k: v for k, v in attributes.items() if k != "DIMENSION_LIST"})
    assert_same(open_session(path), full_session())


def test_every_harm_is_tried(tmp_path):
    assert set(harms(tmp_path)) == set(HARMS)


@pytest.mark.parametrize("name", ["external link", "variable text", "depth"])
def test_the_child_refuses_with_the_same_reason(copy, tmp_path, name):
    edit, reason = harms(tmp_path)[name]
    with h5py.File(copy, "r+") as file:
        edit(file)
    refused(copy, SessionDamaged, reason)
    with pytest.raises(MicrotomeError, match=reason):
        verify(copy)
    with pytest.raises(MicrotomeError, match=reason):
        info(copy)


def test_plugin_folders_are_not_searched_and_come_back(copy):
    before = [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())]
    assert before
    open_session(copy)
    from microtome.session.safety import without_plugins

    with without_plugins():
        assert h5py.h5pl.size() == 0
    assert [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())] == before


# ------------------------------------------------------------------ the child itself


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "SIGSEGV"),
        ("import sys; sys.exit(7)", "exit status 7"),
        ("import time; time.sleep(60)", "took longer"),
    ],
)
def test_a_child_that_fails_refuses_the_file(copy, monkeypatch, program, reason):
    monkeypatch.setattr(trial, "_PROGRAM", program)
    monkeypatch.setattr(trial, "_SECONDS", 1)
    refused(copy, SessionDamaged, reason)


def test_a_child_that_cannot_start_leaves_the_check_to_the_reader(copy, monkeypatch, tmp_path):
    monkeypatch.setattr(trial, "_PROGRAM", "import sys; sys.exit(3)")
    assert_same(open_session(copy), full_session())
    with h5py.File(copy, "r+") as file:
        file["soft"] = h5py.SoftLink("/tokens")
    refused(copy, SessionDamaged, "link to another")


def test_a_child_prepared_ahead_is_used_once(copy):
    trial.prepare()
    child = trial._waiting[0]
    open_session(copy)
    assert child.returncode == 0
    assert not trial._waiting


def test_the_child_has_little_memory(copy, monkeypatch):
    hungry = "from microtome.session import child; child.limit(10); b'0' * (2 << 30)"
    path = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    monkeypatch.setattr(trial, "_PROGRAM", path + hungry)
    refused(copy, SessionDamaged, "exit status 1")


def test_an_own_file_needs_no_child(good, monkeypatch):
    monkeypatch.setattr(trial, "_start", lambda: pytest.fail("a child was started"))
    open_session(good)
    assert_same(open_session(good), full_session())


def test_an_own_file_that_was_changed_is_foreign(copy):
    from microtome.session.trust import is_own, remember

    remember(copy)
    assert is_own(copy)
    os.utime(copy, ns=(1, 1))
    assert not is_own(copy)
