"""Pickles of strangers: nothing of them runs, and what is not plain data is refused whole."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import pickle
import random
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import session_records
import torch
from hostile.graphs import Calls

import microtome as mt
from microtome.errors import GraphError, PickleError, UnsafeGraph
from microtome.pickles.arrays import CONSTRUCTS, Storage
from microtome.pickles.machine import load_pickle
from microtome.pickles.torch_files import load_torch

PLAIN = {
    "edges": [(("hook", (None, 3)), 0.5), (("hook", (None, 4)), np.float32(1.25))],
    "array": np.arange(6, dtype=np.int32).reshape(2, 3).T, "text": "é\n", "set": {1, 2},
    "numbers": [1, -5, 2**70, 1e-9, True, None], "bytes": b"\x00\xff",
    "ordered": OrderedDict([("a", 1)]),
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_as_they_were_pickled(protocol):
    found = load_pickle(pickle.dumps(PLAIN, protocol), CONSTRUCTS)
    np.testing.assert_array_equal(found.pop("array"), PLAIN["array"])
    assert found == {key: value for key, value in PLAIN.items() if key != "array"}


def test_tensors_come_as_arrays(tmp_path):
    given = {
        "turned": torch.arange(6).reshape(2, 3).T, "part": torch.arange(10.0)[3:9:2],
        "short": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "none": torch.zeros(0, 3),
        "half": torch.ones(2, dtype=torch.float16), "true": torch.tensor([True, False]),
        "weight": torch.nn.Parameter(torch.ones(2)),
    }  # fmt: skip
    torch.save(given, tmp_path / "a.pt")
    found = load_torch(tmp_path / "a.pt")
    for name, value in given.items():
        expected = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        np.testing.assert_array_equal(found[name], expected.numpy())


def test_a_torch_file_with_hostile_parts_is_refused_whole(tmp_path):
    torch.save(
        {"cfg": {}, "edges_scores": torch.ones(2), "x": Calls(builtins.print)}, tmp_path / "a.pt"
    )
    with pytest.raises(UnsafeGraph, match=r"builtin.*print.*only tensors, plain containers"):
        mt.read_graph(tmp_path / "a.pt")


def test_a_pickle_cut_short_anywhere_is_refused():
    data = pickle.dumps(PLAIN)
    for length in range(len(data) - 1):
        with pytest.raises(PickleError):
            load_pickle(data[:length], CONSTRUCTS)


def test_random_damage_gives_an_error_or_plain_data():
    rng, data = random.Random(0), pickle.dumps(PLAIN, 2)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(data))] = rng.randrange(256)
        # Anything but plain data or a PickleError fails the test by itself.
        with contextlib.suppress(PickleError):
            load_pickle(bytes(damaged), CONSTRUCTS)


def test_keys_that_take_forever_are_refused():
    nested = b"N" + b"2\x86" * 60  # a tuple of the last value twice, sixty times over
    with pytest.raises(PickleError, match="key"):
        load_pickle(b"\x80\x02}" + nested + b"Ns.", CONSTRUCTS)


@pytest.fixture
def saved(tmp_path):
    torch.save({"a": torch.arange(4.0)}, tmp_path / "a.pt")
    return tmp_path / "a.pt"


@pytest.mark.parametrize("place", [(1, 4, 1), (0, 4, 2), (0, 200, 0), (2, 3, 1), (0, 5, 1)])
def test_a_tensor_must_lie_in_its_numbers(place):
    def tensor(offset, size, stride):
        numbers = b"K%c(K%ct(K%ct" % (offset, size, stride)
        data = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NQ" + numbers + b"tR."
        return load_pickle(data, CONSTRUCTS, lambda _: Storage(np.arange(4.0)))

    np.testing.assert_array_equal(tensor(1, 2, 2), [1, 3])
    with pytest.raises(PickleError, match="does not lie in its 4 stored numbers"):
        tensor(*place)


def test_numbers_are_compared_with_their_checksum(saved):
    data = bytearray(saved.read_bytes())
    place = bytes(data).index(struct.pack("<f", 3.0))
    data[place] ^= 1
    saved.write_bytes(bytes(data))
    with pytest.raises(PickleError, match="damaged"):
        load_torch(saved)


def test_a_torch_file_cut_short_or_packed_is_refused(saved):
    whole = saved.read_bytes()
    packed = saved.with_name("packed.pt")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", b"\x80\x02}" + b" " * 10_000)
    with pytest.raises(UnsafeGraph, match="packed"):
        mt.read_graph(packed)
    for length in range(4, len(whole), 97):
        saved.write_bytes(whole[:length])
        with pytest.raises(GraphError):
            mt.read_graph(saved)


def test_files_that_are_no_graph_say_what_one_is(tmp_path):
    path = tmp_path / "a.bin"
    for data, told in (
        (b"\x89PNG....", "begins with bytes that are no text"),
        (b"hello", 'begins with "hello"'),
        (b" []", "a.bin holds a JSON list"),
        (b"", "is empty"),
        (b"<html/>", "not <graphml>"),
    ):
        path.write_bytes(data)
        with pytest.raises(GraphError, match=told):
            mt.read_graph(path)
    for place, told in ((tmp_path / "none", "no file none"), (tmp_path, "not a plain file")):
        with pytest.raises(GraphError, match=told):
            mt.read_graph(place)
    torch.save({"a": 1}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(GraphError, match=r"before 1\.6"):
        mt.read_graph(path)


DICT = {"dict": []}
INJECTED = "object\n0cos\nsystem\n(Vtouch {}\ntR0cbuiltins\nobject"
HOSTILE = {
    "opcodes in a name": lambda ran: {"record": ["circuit_tracer", INJECTED.format(ran), [], DICT]},
    "opcodes in a module": lambda ran: {"name": [f"circuit_tracer.{INJECTED.format(ran)}", "x"]},
    "another class": lambda ran: {"record": ["os", "system", [f"touch {ran}"], DICT]},
    "another name": lambda _: {"name": ["builtins", "eval"]},
    "a module of the tool with an odd name": lambda _: {
        "record": ["circuit_tracer.a b", "UnifiedConfig", [], DICT]
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_session_cannot_make_a_pickle_that_runs(tmp_path, case):
    """What a raw graph is written from may come from a stranger's session."""
    ran = tmp_path / "ran"
    features = {"array": ["int64", [0, 3], []]}
    held = {"dict": [["active_features", features], ["cfg", HOSTILE[case](ran)]]}
    source = {"format": "circuit-tracer", "behind": [], "held": held}
    given = session_records.circuit(nodes=1, edges=0)
    circuit = dataclasses.replace(given, metadata={"source": source})
    saved = session_records.full_session(circuit=circuit)
    opened = mt.open_session(mt.save_session(tmp_path / "s.h5", saved))
    with pytest.raises(UnsafeGraph, match="only the known records"):
        mt.write_graph(tmp_path / "out.pt", opened.circuit, "circuit-tracer")
    assert not (tmp_path / "out.pt").exists()
    assert not ran.exists()
