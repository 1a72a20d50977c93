"""Does the circuit predict? Two-point scores against real patching on the trained model."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch

from microtome.circuits.asking import ask
from microtome.circuits.coefficients import Rule
from microtome.circuits.component import linearised
from microtome.circuits.edges import EdgeEnds, target_without_edge
from microtome.circuits.sources import Layout, node_scores
from microtome.circuits.sweep import OUT_ROW, sweep
from microtome.metrics import LogitDifference
from microtome.prompt_sets import load_prompt_set
from microtome.records.circuit import HEAD, MLP, OUTPUT, EdgeKind

SETS = (
    "agreement", "bracket", "fact", "induction", "list", "name", "pronoun", "quote", "sentiment",
    "two-hop",
)  # fmt: skip
PAIRS_OF_EACH, STRONGEST, OF_EACH_KIND = 2, 25, 8


def questions(model):
    for name in SETS:
        fitting = (
            pair
            for pair in load_prompt_set(name).pairs
            if len(model.tokenize(pair.clean).ids) == len(model.tokenize(pair.corrupt).ids)
        )
        yield from islice(fitting, PAIRS_OF_EACH)


class Patched:
    """The transformers model itself, run once on many copies of a prompt, one patch in each."""

    def __init__(self, model, ran):
        self.model, self.ran, self.patches = model, ran, []

    def add(self, kind, layer, head, position, vector):
        self.patches.append((kind, layer, head, position, vector))

    def logits(self, position):
        body = self.model.module.transformer
        width = self.ran.blocks[0].attention.z.shape[-1]
        hooks = [body.ln_f.register_forward_pre_hook(self._before(OUTPUT, None, width))]
        for layer, block in enumerate(body.h):
            before = self._before(HEAD, layer, width)
            hooks.append(block.attn.c_proj.register_forward_pre_hook(before))
            hooks.append(block.mlp.register_forward_hook(self._after(layer)))
        try:
            return self.model.forward(self.ran.ids.repeat(len(self.patches), 1))[:, position]
        finally:
            for hook in hooks:
                hook.remove()

    def _put(self, values, kind, layer, width):
        values = values.clone()
        for row, (of, at, head, position, vector) in enumerate(self.patches):
            if of == kind and layer in (at, None):
                part = slice(head * width, (head + 1) * width) if kind == HEAD else slice(None)
                values[row, position, part] = vector
        return values

    def _before(self, kind, layer, width):
        return lambda _module, args: (self._put(args[0], kind, layer, width), *args[1:])

    def _after(self, layer):
        return lambda _module, _args, out: self._put(out, MLP, layer, 0)


def both_ways(model, asked, patches) -> np.ndarray:
    """The mean effect of each pair of patches: into the clean run, and into the corrupt one."""
    effects = []
    for ran, value, side in (
        (asked.clean, asked.value, 0),
        (asked.corrupt, asked.corrupt_value, 1),
    ):
        batch = Patched(model, ran)
        for place, vectors in patches:
            batch.add(*place, vectors[side])
        after = batch.logits(asked.position) @ asked.weights
        effects.append((value - after if side == 0 else after - value).numpy())
    return np.mean(effects, 0)


def written(ran, place, position):
    kind, layer, head = place
    block = ran.blocks[layer]
    return block.attention.z[head, position] if kind == HEAD else block.mlp.out[position]


def node_correlations(model, asked, explained) -> list[float]:
    layout = Layout.of(asked.anatomy)
    outputs = explained[0][1]
    alive = [
        (row, position)
        for row, position in torch.nonzero(outputs.abs().amax(-1) > 1e-6).tolist()
        if layout.component(row)[0] in (HEAD, MLP)
    ]
    patches = []
    for row, position in alive:
        place = layout.component(row)
        other = [written(ran, place, position) for ran in (asked.corrupt, asked.clean)]
        patches.append(((*place, position), other))
    index = tuple(np.array(alive).T)
    scores = [node_scores(outputs, gradient).numpy()[index] for gradient, outputs in explained]
    truth = both_ways(model, asked, patches)
    return [float(np.corrcoef(one, truth)[0, 1]) for one in scores]


def all_edges(gradient, outputs) -> tuple[np.ndarray, np.ndarray]:
    """Every edge as one sorted number, and its weight."""
    found = sweep(gradient, outputs, tau=0.0, keep=10**6)
    name = (found.source << 32) + ((found.target + 1) << 4) + found.kind
    name, order = name.sort()
    return name.numpy(), found.weight[order].numpy()


def ends_of(name: int) -> tuple[int, int, int]:
    return name >> 32, ((name >> 4) & (1 << 28) - 1) - 1, name & 15


def some_edges(methods) -> np.ndarray:
    """The strongest of each method, and some of each kind."""
    draw = np.random.default_rng(0)
    chosen = [names[np.argsort(-np.abs(weights))[:STRONGEST]] for names, weights in methods]
    names, _ = methods[0]
    for kind in list(EdgeKind)[:5]:
        of_kind = names[names & 15 == kind]
        chosen.append(draw.choice(of_kind, min(OF_EACH_KIND, len(of_kind)), replace=False))
    return np.unique(np.concatenate(chosen))


def weights_of(edges: np.ndarray, names: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weights of some edges; 0 for an edge that a method does not have."""
    at = np.searchsorted(names, edges).clip(max=len(names) - 1)
    return np.where(names[at] == edges, weights[at], 0.0)


def edge_correlations(model, asked, explained) -> list[float]:
    layout, n = Layout.of(asked.anatomy), asked.clean.n_positions
    methods = [all_edges(*one) for one in explained]
    edges, patches = some_edges(methods), []
    for source, target, kind in map(ends_of, edges.tolist()):
        start, position = divmod(source, n)
        end, query = divmod(target, n)
        into = (OUTPUT, layout.n_layers, -1) if target == OUT_ROW else layout.component(end)
        query = asked.position if target == OUT_ROW else query
        ends = EdgeEnds(*layout.component(start), position, *into[1:], query, EdgeKind(kind))
        moved = explained[0][1][start, position]
        new = [target_without_edge(asked.clean, ends, moved)]
        new.append(target_without_edge(asked.corrupt, ends, -moved))
        patches.append(((*into, query), new))
    scores = [weights_of(edges, *found) for found in methods]
    truth = both_ways(model, asked, patches)
    return [float(np.corrcoef(one, truth)[0, 1]) for one in scores]


def test_the_two_point_rule_predicts_patching_better_than_the_gradient(embedded):
    model = embedded("words-4l")
    nodes, edges = [], []
    for question in questions(model):
        with torch.no_grad():
            asked = ask(model, question.pair, LogitDifference(question.answer, question.wrong))
            explained = [linearised(asked, rule) for rule in (Rule.TWO_POINT, Rule.EAP_CLEAN)]
            nodes.append(node_correlations(model, asked, explained))
            edges.append(edge_correlations(model, asked, explained))
    (nodes_ours, nodes_eap), (edges_ours, edges_eap) = np.mean(nodes, 0), np.mean(edges, 0)
    assert len(nodes) == 20
    assert nodes_ours >= 0.97
    assert edges_ours >= 0.95
    assert nodes_ours > nodes_eap + 0.05
    assert edges_ours > edges_eap + 0.05
