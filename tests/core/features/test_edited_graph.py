"""What edits of features do to a graph, kept in sessions, and asked for by the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_attribution import random_set

import microtome as mt
from microtome.attributing import attribute
from microtome.circuits.attribution.changes import FeatureChange
from microtome.circuits.attribution.edited import change_of, edited_graph, edited_text
from microtome.circuits.attribution.feature_words import feature_words
from microtome.errors import InputError, MemoryExceeded
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.prompts import Question
from microtome.records.circuit import FEATURE, OUTPUT
from microtome.records.feature_edit import FEATURE_WORDS, FeatureEditSpec
from microtome.records.generation import generations_of
from microtome.records.marks import Marks
from microtome.session.edit_lists import read_feature_edits
from microtome.session.reader import open_session
from microtome.session.writer import save_session

PROMPT = "the keys to the old cabinet near the door"


@pytest.fixture(scope="module")
def words(embedded: Callable) -> Any:
    return embedded("words-4l")


@pytest.fixture(scope="module")
def sets(words: Any) -> Transcoders:
    return random_set(words, rule="relu", d_sae=16, size=0.3)


@pytest.fixture(scope="module")
def graph(words: Any, sets: Transcoders) -> mt.Circuit:
    return mt.attribution_graph(words, sets, PROMPT)


def strongest(graph: mt.Circuit, layer: int) -> int:
    """The row of the most active feature of a layer at the last position."""
    at = max(int(place) for place in graph.node_position)
    rows = [
        row
        for row, kind in enumerate(graph.node_kind)
        if kind == FEATURE and graph.node_layer[row] == layer and graph.node_position[row] == at
    ]
    return max(rows, key=lambda row: float(graph.node_score[row]))


def change_at(graph: mt.Circuit, row: int, action: str, amount: float) -> FeatureChange:
    places = (graph.node_layer, graph.node_feature, graph.node_position)
    layer, feature, at = (int(column[row]) for column in places)
    return FeatureChange(layer, feature, action, amount, (at,))


@pytest.mark.parametrize(("action", "amount"), [("ablate", 0.0), ("scale", 3.0), ("steer", -2.0)])
def test_frozen_every_node_moves_by_the_change_of_its_edges(
    words: Any, sets: Transcoders, graph: mt.Circuit, action: str, amount: float
) -> None:
    row = strongest(graph, 1)
    changes = [change_at(graph, row, action, amount)]
    found = edited_graph(words, sets, PROMPT, graph, changes, mode="frozen")
    before, after = found.array("before"), found.array("after")
    summed = np.bincount(graph.edge_target, found.array("change"), graph.n_nodes)
    others = np.isin(graph.node_kind, (FEATURE, OUTPUT))
    others[row] = False
    np.testing.assert_allclose((after - before)[others], summed[others], atol=2e-4)
    assert np.abs(summed[others]).max() > 0.01
    wanted = {"ablate": 0.0, "scale": 3 * before[row], "steer": before[row] - 2}[action]
    assert after[row] == pytest.approx(wanted, rel=1e-5)


def test_free_nodes_and_edges_are_those_of_the_graph_made_anew(
    words: Any, sets: Transcoders, graph: mt.Circuit
) -> None:
    row = strongest(graph, 0)
    changes = [change_at(graph, row, "set", 9.0)]
    found = edited_graph(words, sets, PROMPT, graph, changes)
    anew = mt.attribution_graph(words, sets, PROMPT, changes=changes)
    scores = dict(zip(anew.node_id, anew.node_score.tolist(), strict=True))
    ends = zip(anew.edge_source.tolist(), anew.edge_target.tolist(), strict=True)
    named = [(anew.node_id[source], anew.node_id[target]) for source, target in ends]
    weights = dict(zip(named, anew.edge_weight.tolist(), strict=True))
    lost = {
        name
        for name, kind in zip(graph.node_id, graph.node_kind, strict=True)
        if kind == OUTPUT and name not in scores
    }
    after = [np.nan if name in lost else scores.get(name, 0.0) for name in graph.node_id]
    np.testing.assert_allclose(found.array("after"), after, rtol=1e-5)
    assert found.array("after")[row] == 9.0
    change = []
    for edge in range(graph.n_edges):
        source, target = (graph.node_id[int(end[edge])] for end in
                          (graph.edge_source, graph.edge_target))  # fmt: skip
        held = weights.get((source, target), 0.0) - float(graph.edge_weight[edge])
        change.append(np.nan if target in lost else held)
    np.testing.assert_allclose(found.array("change"), change, rtol=1e-4, atol=1e-6)
    plain = mt.feature_intervention(words, sets, PROMPT, changes, mode="free")
    assert found.array("word").tolist() == [word for word, _, _ in plain.predictions]
    told = found.array("probability_after").tolist()
    assert told == pytest.approx([after for _, _, after in plain.predictions])
    with pytest.raises(InputError, match="no graph of features"):
        edited_graph(words, sets, PROMPT, mt.component_graph(words, PROMPT), changes)


def test_text_is_written_without_and_with_the_edits(words: Any, sets: Transcoders) -> None:
    changes = [FeatureChange(layer, number, "set", 30.0) for layer in (2, 3) for number in (1, 2)]
    found = edited_text(words, sets, "Mary and John", changes, sampling={"n_tokens": 6})
    before, after = generations_of(found)
    assert after is not None
    assert len(before.ids) <= 6
    assert before.ids.tolist() != after.ids.tolist()


def test_words_of_a_feature_are_those_that_its_decoder_points_at(
    words: Any, sets: Transcoders
) -> None:
    found = feature_words(words, sets, [(2, 5), (0, 3)], count=4)
    assert found is not None
    anatomy = words.anatomy
    for row, (layer, number) in enumerate([(2, 5), (0, 3)]):
        written = sets.layers[layer].weights.w_dec[number].double()
        written = (written - written.mean()) * anatomy.final_norm.weight.double()
        effect = anatomy.unembedding.double() @ written
        effect -= effect.mean()
        top = torch.topk(effect, 4)
        assert found.array("raised")[row].tolist() == [
            words.token_text(int(i)) for i in top.indices
        ]
        np.testing.assert_allclose(found.array("raised_by")[row], top.values, rtol=1e-4)


def test_a_session_keeps_the_graph_and_its_edits(
    words: Any, sets: Transcoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    job = Job(None, lambda name, value: told.append((name, str(value))))
    session = attribute(words, sets, Question(PROMPT, answer="is", wrong="are"), job=job)
    (memory,) = [value for name, value in told if name == "memory"]
    assert "active features" in memory
    edits = (FeatureEditSpec(1, 3, "scale", 2.5, (4, 8), group="doors"),
             FeatureEditSpec(2, 0, on=False))  # fmt: skip
    marks = Marks(feature_edits=edits, feature_mode="frozen")
    file = save_session(tmp_path / "graph.h5", replace(session, marks=marks))
    held = open_session(file)
    assert (held.marks.feature_edits, held.marks.feature_mode) == (edits, "frozen")
    assert held.circuit.node_id == session.circuit.node_id
    assert held.analyses[FEATURE_WORDS].array("raised").shape[1] == 5
    assert held.metric["wrong"] == "are"
    anew = attribute(words, sets, Question(PROMPT), edits=edits[:1])
    assert anew.circuit.metadata["changes"] == [str(change_of(edits[0]))]
    assert read_feature_edits(anew.circuit.metadata["feature_edits"]) == edits[:1]
    for wrong in ({"layer": "one", "feature": 1}, {"layer": 1, "feature": 1, "amount": 1e999},
                  {"layer": 1, "feature": 1, "action": "zap"}):  # fmt: skip
        with pytest.raises((TypeError, ValueError, InputError)):
            read_feature_edits([wrong])
    monkeypatch.setattr("microtome.attributing.free_memory", lambda: 1000)
    with pytest.raises(MemoryExceeded, match="shorter prompt"):
        attribute(words, sets, Question(PROMPT))
