"""Files that are no sessions, or broken ones: refused with the reason, never believed."""

import json
import zlib
from dataclasses import replace

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session, refused

from microtome import cli
from microtome.errors import Cancelled, NewerSession, NotASession, SessionDamaged, SessionError
from microtome.jobs import Job
from microtome.session.handle import Handle
from microtome.session.reader import SessionFile, info, open_session
from microtome.session.store import SessionStore
from microtome.session.verify import STRUCTURE, compare, verify_session
from microtome.session.writer import save_session


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


def test_a_program_in_front_of_the_data(session_file, tmp_path):
    path = tmp_path / "polyglot.h5"
    path.write_bytes(b"#!/bin/sh\n".ljust(512, b" ") + session_file.read_bytes())
    refused(path, NotASession, "not an HDF5 file")


def test_a_later_major_version(session_copy, session_file):
    """What this version understands can be looked at; of what it does not it says so."""
    with h5py.File(session_copy, "r+") as file:
        file.attrs.modify("format_version", np.bytes_("2.0"))
        file["later"] = np.arange(3)
    with SessionFile(session_copy) as held:
        assert held.read_only
        assert held.note == (
            "made by a newer Microtome (format 2.0); it can be looked at, not changed"
        )
        whole = open_session(session_file)
        assert_same(held.session.circuit, whole.circuit)
        assert_same(held.session.clean.activation("z.2"), whole.clean.activation("z.2"))
    assert info(session_copy)["note"] == held.note
    # Who added that wrote into the structure, too.
    assert verify_session(session_copy).damaged == ("/later", STRUCTURE)
    with h5py.File(session_copy, "r+") as file:
        del file["circuit/node_kind"]
    assert "newest Microtome" in refused(session_copy, NewerSession, "its format is 2.0")
    with h5py.File(session_copy, "r+") as file:
        file.attrs["note"] = "whatever that version may hold"  # of variable length
    assert "newest Microtome" in refused(session_copy, NewerSession, "its format is 2.0")
    with pytest.raises(NewerSession, match="be understood"):
        verify_session(session_copy)


def test_a_file_cut_short_anywhere(session_file, tmp_path):
    whole = session_file.read_bytes()
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
    missed, stored = [], _stored_ranges(small)
    between = _between(stored, len(whole))
    for place in [*_places(stored, rng, 12), *_places(between, rng, 12)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        if not _damage_is_found(path):
            missed.append(place)
    assert not missed


def test_the_rest_that_is_summed_up_is_every_byte_that_is_no_value(tmp_path):
    """Beside a plain mask over all bytes, for a file that was edited twice."""
    session, store = full_session(analyses={}, checks=None, view={}), SessionStore()
    path = store.save(tmp_path / "small.h5", session, ["z"])
    for number in range(2):
        store.save(path, replace(session, view={"dock": [number] * 900}), ["z"])
    store.close()
    data = np.frombuffer(path.read_bytes(), np.uint8)
    rest = np.ones(len(data), np.bool_)
    for start, size in _stored_ranges(path, without="manifest/"):
        rest[start : start + size] = False
    with h5py.File(path) as file:
        told, place = bytes(file["manifest/rest"][()]), file["manifest/rest"].id.get_offset()
    rest[place : place + 32] = False
    assert rest[-1]  # there is something behind the last value
    assert told[:24] == f"{len(data):016x}{zlib.crc32(data[rest].tobytes()):08x}".encode()


def _stored_ranges(path, without="/"):
    ranges = []

    def visit(name, item):
        if not isinstance(item, h5py.Dataset) or name.startswith(without):
            return
        if item.chunks is None:
            if item.id.get_offset() is not None:
                ranges.append((item.id.get_offset(), item.id.get_storage_size()))
        else:
            item.id.chunk_iter(lambda chunk: ranges.append((chunk.byte_offset, chunk.size)))

    with h5py.File(path) as file:
        file.visititems(visit)
    return [span for span in ranges if span[1]]


def _between(ranges, length):
    """What no value lies in: HDF5's own structure, and bytes that nobody uses."""
    edges = [0, *(edge for start, size in sorted(ranges) for edge in (start, start + size)), length]
    return [(start, stop - start) for start, stop in zip(edges[::2], edges[1::2], strict=True)
            if start < stop]  # fmt: skip


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


@pytest.fixture
def flipped_file(session_file, tmp_path):
    """A session with one byte of its stored attention patterns changed."""
    with h5py.File(session_file) as file:
        chunk = file["attention/pattern"].id.get_chunk_info(0)
    damaged = bytearray(session_file.read_bytes())
    damaged[chunk.byte_offset + 17] ^= 4
    path = tmp_path / "flipped.h5"
    path.write_bytes(damaged)
    return path


def test_verifying_names_the_damaged_dataset(session_file, flipped_file):
    assert verify_session(session_file).good
    assert verify_session(flipped_file).damaged == ("/attention/pattern",)


def test_info_verifies_and_names_the_damaged_dataset(flipped_file, capsys):
    assert cli.main(["info", str(flipped_file)]) == 0
    assert "verified" not in capsys.readouterr().out
    assert cli.main(["info", str(flipped_file), "--verify"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "flipped.h5" in told.err
    assert "/attention/pattern" in told.err
    assert not told.out


def test_info_says_how_much_was_verified(session_file, capsys):
    assert cli.main(["info", str(session_file), "--verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["verified"]
    with h5py.File(session_file) as file:
        tables = [file["manifest"], file["manifest/changing"]]
        assert told["chunks"] == sum(len(table["crc32"]) for table in tables)
        assert told["bytes"] == sum(int(table["stored_bytes"][()].sum()) for table in tables)


def test_verifying_reports_chunks_and_stops_at_the_next_one(session_file):
    seen = []
    job = Job(on_progress=seen.append)
    job._clock = iter(range(10**6)).__next__  # every step is due
    total = verify_session(session_file, job=job).chunks
    assert [step.done for step in seen] == [*range(total), total]
    stopped = Job(on_progress=lambda step: step.done >= 3 and stopped.cancel())
    stopped._clock = iter(range(10**6)).__next__
    with pytest.raises(Cancelled):
        verify_session(session_file, job=stopped)


def test_numbers_that_turned_bad_are_refused_when_they_are_read(session_copy):
    with h5py.File(session_copy, "r+") as file:
        file["activations/z"][1, 2, 3] = np.inf
    found = open_session(session_copy)
    assert found.clean.activation("z.2").shape == (13, 4, 3)
    with pytest.raises(SessionDamaged, match=r"/activations/z .* not finite"):
        found.corrupt.activation("z.2")
