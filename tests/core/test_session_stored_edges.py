"""A circuit of very many edges: a session opens without them, and they come when they are used."""

from __future__ import annotations

import copy
from dataclasses import replace

import h5py
import numpy as np
import pytest
from session_records import full_session

from microtome.errors import SessionDamaged, SessionError
from microtome.session import stored_circuit
from microtome.session.nearby import with_edges
from microtome.session.reader import SessionFile, open_session
from microtome.session.stored_circuit import StoredCircuit
from microtome.session.writer import save_session


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_circuit, "AT_ONCE", 3)
    return save_session(tmp_path / "many.h5", full_session())


@pytest.fixture
def reads(monkeypatch):
    read, seen = stored_circuit.StoredEdges.read, []
    monkeypatch.setattr(
        stored_circuit.StoredEdges, "read", lambda self: seen.append(1) or read(self)
    )
    return seen


def test_edges_are_read_once_and_only_when_they_are_used(kept, reads):
    wanted, circuit = full_session().circuit, open_session(kept).circuit
    assert isinstance(circuit, StoredCircuit)
    assert (circuit.n_nodes, circuit.n_edges) == (wanted.n_nodes, wanted.n_edges)
    assert circuit.node_id == wanted.node_id
    assert reads == []
    for name in ("edge_source", "edge_target", "edge_kind", "edge_weight", "edge_influence"):
        np.testing.assert_array_equal(getattr(circuit, name), getattr(wanted, name))
    assert reads == [1]
    assert circuit.n_edges == wanted.n_edges
    with pytest.raises(AttributeError):
        circuit.edge_colour  # noqa: B018 - it must not exist


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, lambda it: replace(it, metadata={})])
def test_copies_have_their_edges(kept, made):
    circuit = open_session(kept).circuit
    other = made(circuit)
    np.testing.assert_array_equal(other.edge_weight, full_session().circuit.edge_weight)
    assert other.n_edges == circuit.n_edges
    everything = np.ones(other.n_nodes, bool), np.ones(other.n_edges, bool)
    assert other.select(*everything).n_edges == other.n_edges


def test_a_session_is_saved_again_with_edges_that_nobody_looked_at(kept, tmp_path, reads):
    again = save_session(tmp_path / "again.h5", open_session(kept))
    held = open_session(again).circuit
    np.testing.assert_array_equal(held.edge_target, full_session().circuit.edge_target)


def test_with_edges_reads_them(kept, reads):
    session = with_edges(open_session(kept))
    assert reads == [1]
    assert session.circuit.edge_weight.dtype == np.float32
    assert reads == [1]


def test_edges_to_nodes_that_are_not_there_are_refused_when_they_are_read(kept):
    with h5py.File(kept, "r+") as file:
        file["circuit/edge_source"][1] = 99
    circuit = open_session(kept).circuit
    with pytest.raises(SessionDamaged, match=r"edge_source in many.h5 names nodes") as refused:
        len(circuit.edge_weight)
    assert "another copy" in refused.value.way_out


def test_missing_and_short_columns_are_refused_at_once(kept):
    with h5py.File(kept, "r+") as file:
        del file["circuit/edge_weight"]
        file["circuit/edge_weight"] = np.zeros(2, np.float32)
    with pytest.raises(SessionDamaged, match=r"edge_weight has the shape \(2,\)"):
        open_session(kept)


def test_a_closed_file_says_so(kept):
    with SessionFile(kept) as file:
        circuit = file.session.circuit
    with pytest.raises(SessionError, match="was closed"):
        len(circuit.edge_source)
