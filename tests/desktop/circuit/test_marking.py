"""The marked circuit against a plain one made of dictionaries."""

from collections import defaultdict

import numpy as np
import pytest

from microtome.circuits.prune import prune
from microtome.records.marks import Marks, Supernode
from microtome_desktop.presenters.circuit import View, edge_names, pruned
from microtome_desktop.presenters.marking import (
    GROUP,
    can_be_grouped,
    group_id,
    group_of,
    members,
    shown_as,
    whole,
)


@pytest.fixture(scope="module")
def explored(sample_session):
    return sample_session.circuit


@pytest.fixture(scope="module")
def drawn(explored):
    return pruned(explored, View(20, 0.6))


def inner(circuit, count):
    """The most influential heads."""
    heads = [row for row, kind in enumerate(circuit.node_kind) if kind == "head"]
    heads.sort(key=lambda row: -circuit.node_influence[row])
    return [circuit.node_id[row] for row in heads[:count]]


def test_without_marks_it_is_the_pruned_circuit_with_the_influence_of_the_whole(explored, drawn):
    plain = prune(explored, 20, 0.6)
    assert (drawn.node_id, edge_names(drawn)) == (plain.node_id, edge_names(plain))
    influence = dict(zip(explored.node_id, explored.node_influence, strict=True))
    assert [influence[n] for n in drawn.node_id] == drawn.node_influence.tolist()


def test_a_hidden_node_goes_with_its_edges(explored, drawn):
    node = inner(drawn, 1)[0]
    found = pruned(explored, View(20, 0.6), Marks(hidden=(node,)))
    assert set(found.node_id) == set(drawn.node_id) - {node}
    assert edge_names(found) == [e for e in edge_names(drawn) if node not in e[:2]]


def test_a_pinned_node_stays_with_its_strongest_edges(explored, drawn):
    out = next(n for n in inner(explored, 100)[::-1] if n not in drawn.node_id)
    found = pruned(explored, View(20, 0.6), Marks(pins=(out,)))
    assert set(found.node_id) == {*drawn.node_id, out}
    assert set(edge_names(drawn)) <= set(edge_names(found))
    weakest = drawn.edge_influence.min()
    influence = dict(zip(edge_names(explored), explored.edge_influence, strict=True))
    for end in (0, 1):
        among = [e for e in influence if e[end] == out and e[1 - end] in found.node_id]
        wanted = {e for e in among if influence[e] >= weakest}
        wanted |= {max(among, key=influence.get)} if among else set()
        assert wanted == {e for e in edge_names(found) if e[end] == out}


def test_pinning_what_is_drawn_changes_nothing(explored, drawn):
    found = pruned(explored, View(20, 0.6), Marks(pins=(inner(drawn, 1)[0], "L9H9@9")))
    assert edge_names(found) == edge_names(drawn)


def plainly_grouped(circuit, group):
    """Edges by name, those of the group added up, inner ones dropped."""
    edges = defaultdict(lambda: np.zeros(2))
    columns = zip(edge_names(circuit), circuit.edge_weight, circuit.edge_influence, strict=True)
    for (source, target, kind), weight, influence in columns:
        ends = [group_id(group.name) if n in group.nodes else n for n in (source, target)]
        if ends[0] != ends[1]:
            edges[(*ends, kind)] += (weight, influence)
    return edges


def as_table(circuit):
    columns = zip(edge_names(circuit), circuit.edge_weight, circuit.edge_influence, strict=True)
    return {name: np.array([weight, influence]) for name, weight, influence in columns}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_collapsed_group_adds_up_its_edges(explored, drawn, size):
    group = Supernode("movers", tuple(inner(drawn, size)))
    found = pruned(explored, View(20, 0.6), Marks(supernodes=(group,)))
    assert set(found.node_id) == (set(drawn.node_id) - set(group.nodes)) | {group_id("movers")}
    wanted, got = plainly_grouped(drawn, group), as_table(found)
    assert wanted.keys() == got.keys()
    for name, values in wanted.items():
        assert values == pytest.approx(got[name], rel=1e-5, abs=1e-7)


def test_a_group_of_one_has_the_numbers_of_its_edges_and_the_place_of_its_node(explored, drawn):
    node = inner(drawn, 1)[0]
    found = pruned(explored, View(20, 0.6), Marks(supernodes=(Supernode("one", (node,)),)))
    row, before = found.row(group_id("one")), explored.row(node)
    leaving = explored.edge_source == before
    assert found.node_score[row] == pytest.approx(explored.edge_weight[leaving].sum(), rel=1e-5)
    assert found.node_kind[row] == GROUP
    assert found.node_label[row] == "one"
    for name in ("node_layer", "node_position"):
        assert getattr(found, name)[row] == getattr(explored, name)[before]
    assert found.node_head[row] == -1


def test_two_groups_and_an_expanded_one(explored, drawn):
    a, b, c, d, e = inner(drawn, 5)
    marks = Marks(
        supernodes=(Supernode("x", (a, b)), Supernode("y", (c, d)), Supernode("z", (e,), False)),
        names={e: "the fifth"},
    )
    found = pruned(explored, View(20, 0.6), marks)
    kept = set(drawn.node_id) - {a, b, c, d}
    assert set(found.node_id) == kept | {"group/x", "group/y"}
    assert found.node_label[found.row(e)] == "the fifth"
    weight = sum(drawn.edge_weight)
    inside = sum(
        w
        for (s, t, _), w in zip(edge_names(drawn), drawn.edge_weight, strict=True)
        if {s, t} <= {a, b} or {s, t} <= {c, d}
    )
    assert found.edge_weight.sum() == pytest.approx(weight - inside, rel=1e-5)


def test_hidden_members_of_a_group_do_not_count(explored, drawn):
    a, b = inner(drawn, 2)
    both = pruned(explored, View(20, 0.6), Marks(hidden=(b,), supernodes=(Supernode("x", (a, b)),)))
    alone = pruned(explored, View(20, 0.6), Marks(hidden=(b,), supernodes=(Supernode("x", (a,)),)))
    assert as_table(both).keys() == as_table(alone).keys()


def test_a_group_of_nothing_drawn_is_not_drawn(explored):
    found = pruned(explored, View(20, 0.6), Marks(supernodes=(Supernode("x", ("L9H9@9",)),)))
    assert group_id("x") not in found.node_id


def test_the_whole_circuit_hides_nothing(explored, drawn):
    a, b = inner(drawn, 2)
    found = whole(explored, Marks(hidden=(a,), supernodes=(Supernode("x", (b,)),)))
    assert found.n_nodes == explored.n_nodes


def test_names_between_drawn_and_real_nodes():
    marks = Marks(supernodes=(Supernode("x", ("a", "b")), Supernode("y", ("c",), False)))
    assert shown_as(marks, "a") == "group/x"
    assert shown_as(marks, "c") == "c"
    assert shown_as(marks, None) is None
    assert group_of(marks, "group/x").nodes == ("a", "b")
    assert group_of(marks, "group/gone") is None
    assert members(marks, ["group/x", "d", "a"]) == ("a", "b", "d")


def test_the_metric_is_never_grouped(explored):
    assert can_be_grouped(explored, ["OUT", explored.node_id[3]]) == (explored.node_id[3],)
