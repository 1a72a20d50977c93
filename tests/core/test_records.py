"""Records: selection of a circuit, activations by site, prompts as values."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.errors import MicrotomeError, PromptError, SiteMissing
from microtome.prompts import PromptPair, Question, as_prompt
from microtome.records.analysis import Labelled
from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN, Circuit, component_id
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.records.trace import Activation, Trace
from microtome.sites import Site


def chain() -> Circuit:
    """a -> b -> c, a -> c, with weights 1, -3, 2."""
    column = np.arange(3, dtype=np.int32)
    values = np.arange(3, dtype=np.float32)
    return Circuit(
        node_id=("a", "b", "c"), node_kind=("head",) * 3, node_label=("A", "B", "C"),
        node_layer=column, node_position=column, node_head=column, node_feature=column,
        node_score=values, node_influence=values, node_bias=values,
        edge_source=np.array([0, 1, 0]), edge_target=np.array([1, 2, 2]),
        edge_kind=np.array([0, 1, 2]), edge_weight=np.array([1.0, -3.0, 2.0]),
        edge_influence=np.array([0.1, 0.3, 0.2]), metadata={"method": "test"},
    )  # fmt: skip


def named(circuit: Circuit) -> set[tuple[str, str, float]]:
    pairs = zip(circuit.edge_source, circuit.edge_target, circuit.edge_weight, strict=True)
    return {(circuit.node_id[s], circuit.node_id[t], float(w)) for s, t, w in pairs}


@pytest.mark.parametrize("kept", [(1, 1, 1), (1, 0, 1), (0, 1, 1), (0, 0, 1)])
def test_selecting_nodes_keeps_exactly_the_edges_among_them(kept):
    whole = chain()
    nodes = np.array(kept, dtype=bool)
    part = whole.select(nodes, np.ones(3, dtype=bool))
    names = {name for name, keep in zip(whole.node_id, kept, strict=True) if keep}
    assert set(part.node_id) == names
    assert named(part) == {e for e in named(whole) if e[0] in names and e[1] in names}
    assert part.node_score.tolist() == [v for v, keep in zip([0, 1, 2], kept, strict=True) if keep]


def test_neighbours_come_strongest_first():
    assert chain().incoming(2).tolist() == [1, 2]
    assert chain().outgoing(0).tolist() == [2, 0]


def test_component_ids_tell_the_place():
    assert component_id(HEAD, 2, 7, 1) == "L2H1@7"
    assert component_id(MLP, 2, 7) == "M2@7"
    assert component_id(TOKEN, position=3) == "T@3"
    assert component_id(POSITION, position=3) == "P@3"
    assert component_id(OUTPUT, 4, 9) == "OUT"


def small_trace() -> Trace:
    identity = ModelIdentity("m", "gpt2", "0", 2, 3, 1, 4, 2, 8, 5, None, 10)
    z = np.arange(2 * 4 * 3 * 2, dtype=np.float32).reshape(2, 4, 3, 2)
    k = np.arange(2 * 4 * 1 * 2, dtype=np.float32).reshape(2, 4, 1, 2)
    ids, tops = np.arange(4, dtype=np.int32), np.zeros((4, 1), dtype=np.float32)
    held = {"z": Activation(z, (0, 3)), "k": Activation(k, (0, 3))}
    words = (("x",),) * 4
    return Trace(
        identity, "p", ids, tuple("abcd"), tops.astype(np.int32), tops, tops, words, None, held
    )


def test_an_activation_is_found_by_layer_number_not_by_row():
    trace = small_trace()
    whole = trace.activation("z")
    assert whole.shape == (2, 4, 3, 2)
    assert np.array_equal(trace.activation(Site("z", 3)), whole[1])
    assert np.array_equal(trace.activation("z.3.2"), whole[1][:, 2])
    assert np.array_equal(trace.activation("k.0.0"), trace.activation("k")[0][:, 0])


@pytest.mark.parametrize("site", ["resid_pre", "z.1", "pattern.0"])
def test_what_was_not_captured_is_named(site):
    with pytest.raises(SiteMissing, match=r"captured|holds no"):
        small_trace().activation(site)


@pytest.mark.parametrize("prompt", ["", "  \n", (), []])
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(PromptError, match="empty"):
        as_prompt(prompt)


def test_questions_are_values():
    first, second = (Question((1, 2), (3, 4), "a") for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.pair == PromptPair((1, 2), (3, 4))
    assert Question("x").pair is None


def test_labels_must_fit_the_axes():
    with pytest.raises(ValueError, match="2 axis names"):
        Labelled(("a", "b"), np.zeros(3))


def test_an_error_reads_as_one_line():
    error = MicrotomeError("what\nhappened", "do  this")
    assert str(error) == "what happened do this"


class Loaded:
    """Something that has an identity, as a loaded model has."""

    identity = small_trace().model


def test_a_session_takes_a_loaded_model_and_a_list_of_runs():
    session = Session(model=Loaded(), traces=[small_trace()])
    assert session.model is Loaded.identity
    assert isinstance(session.traces, tuple)
    assert session.clean is session.traces[0]
    assert session.corrupt is None
