"""Graph files as other tools write them, built here by hand from what is published of them."""

from __future__ import annotations

import json

TOKENS = ["<bos>", " The", " capital", " is"]
SCAN = "gemma-2-2b"
METADATA = {
    "slug": "austin", "scan": SCAN, "transcoder_list": [], "prompt_tokens": TOKENS,
    "prompt": "".join(TOKENS), "node_threshold": 0.8, "schema_version": 1,
    "info": {"creator_name": "somebody", "source_urls": ["https://example.org/a"]},
    "pruning_settings": {"node_threshold": 0.8, "edge_threshold": 0.98, "free": [1, None]},
}  # fmt: skip


def pair(x, y):
    """Cantor's number of a pair, counted along the diagonals."""
    return sum(range(x + y + 1)) + y


def node(node_id, feature, layer, at, kind, name, label="", **more):
    return {
        "node_id": node_id, "feature": feature, "layer": layer, "ctx_idx": at,
        "feature_type": kind, "token_prob": 0.0, "is_target_logit": False, "run_idx": 0,
        "reverse_ctx_idx": 0, "jsNodeId": name, "clerp": label, "influence": None,
        "activation": None, **more,
    }  # fmt: skip


def feature(layer, index, at, **more):
    name = f"{layer}_{index}-0"
    kind = "cross layer transcoder"
    return node(f"{layer}_{index}_{at}", pair(layer, index), str(layer), at, kind, name, **more)


def error(layer, at, old=False, **more):
    id_, name = (
        (f"0_{layer}_{at}", f"{layer}_{at}-0") if old else (f"{layer}_-1_{at}", f"{layer}_-1-0")
    )
    return node(id_, -1, str(layer), at, "mlp reconstruction error", name, **more)


def embedding(token, at, **more):
    return node(f"E_{token}_{at}", at, "E", at, "embedding", f"E_{token}-{at}", **more)


def logit(layer, token, at, text, probability, **more):
    label = f'Output "{text}" (p={probability:.3f})'
    more = {"token_prob": probability, **more}
    return node(
        f"{layer}_{token}_{at}", token, str(layer), at, "logit", f"L_{token}-{at}", label, **more
    )


def link(source, target, weight, **more):
    return {"source": source, "target": target, "weight": weight, **more}


def graph(nodes, links, view=None, **top):
    view = {
        "pinnedIds": [],
        "supernodes": [],
        "linkType": "both",
        "clickedId": "",
        "sg_pos": "",
    } | (view or {})
    return {"metadata": METADATA, "qParams": view, "nodes": nodes, "links": links, **top}


def current():
    """A graph as circuit-tracer writes it now, with keys that nobody knows everywhere."""
    nodes = [
        feature(0, 5, 1, influence=0.6, activation=3.25, vis={"colour": "red"}),
        feature(3, 70000, 3, influence=0.35, activation=1.5),
        error(2, 3, influence=0.8),
        embedding(2, 0),
        embedding(651, 1, clerp="Emb: The"),
        logit(6, 4321, 3, " Austin", 0.75, is_target_logit=True),
        logit(6, 99, 3, " Dallas", 0.2),
    ]
    links = [
        link("E_651_1", "0_5_1", 2.5),
        link("0_5_1", "3_70000_3", -0.1, note="odd"),
        link("2_-1_3", "6_4321_3", 0.25),
        link("3_70000_3", "6_4321_3", 1 / 3),
        link("3_70000_3", "6_99_3", -0.7),
        link("E_2_0", "3_70000_3", 1e-30),
    ]
    view = {
        "pinnedIds": ["3_70000_3", "6_4321_3"], "clickedId": "0_5_1", "sg_pos": "1 2;3 4",
        "supernodes": [["capital", "0_5_1", "3_70000_3"], ["capital", "2_-1_3"]], "mine": {"a": 1},
    }  # fmt: skip
    return graph(nodes, links, view, extra={"kept": [1.5, None, True]})


def naming():
    """A graph of the generation that has attention features, and names what a node is."""

    def crm(id_, number, layer, at, kind, label, **more):
        return node(id_, number, layer, at, kind, id_, label, **more)

    pairs = {"pair_wise_contributors": [["1_cro_7_1", "0_error_mlp_1", 0.5]]}
    nodes = [
        crm("1_cro_7_1", pair(1, 7), 1, 1, "cross layer transcoder", "F43", token=" The"),
        crm("2_lor_9_3", pair(2, 9), 2, 3, "lorsa", "F75", qk_tracing_results=pairs),
        crm("0_error_mlp_1", None, 0, 1, "mlp reconstruction error", "Err: mlp"),
        crm("1_error_attn_1", None, 1, 1, "lorsa error", "Err: attn"),
        crm("1_bias_mlp_1", None, 1, 1, "bias", "bias"),
        crm("2_unknown_x_3", None, 2, 3, "unknown", "?"),
        crm("2_new_thing_3", None, 2, 3, "thing of tomorrow", "new"),
        embedding(651, 1),
        logit(3, 4321, 3, " Austin", 0.75),
    ]
    ids = [each["node_id"] for each in nodes]
    links = [link(id_, ids[-1], 0.5) for id_ in ids[:-1]]
    return graph(nodes, links, qk_only_nodes={"0_cro_1_1": {"clerp": "x"}})


def first():
    """A graph of the first page: no kinds but one, logits on a layer of their own."""
    nodes = [
        node("x1", 12, "E", 1, "unexplored node", "E_12-1", " The"),
        node("x2", 1234, "4", 3, "unexplored node", "4_1234-0", "capitals"),
        node("x3", 9, "E1", 3, "unexplored node", "L_9-3", "output: 'Austin' (p=0.500)"),
    ]
    return graph(nodes, [link("x1", "x2", 1.0), link("x2", "x3", 2.0)])


GENERATIONS = {"current": current, "naming": naming, "first": first}


def eap(neurons=False):
    """JSON of EAP-IG for two layers of two heads; neurons of heads as its writer repeats them."""
    names = ["input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1", "logits"]
    nodes = {name: {"in_graph": name not in {"a1.h1", "m1"}} for name in names}
    if neurons:
        for name in names[:-1]:
            layer = [[True, False, True], [False, False, True]] if ".h" in name else [True] * 3
            nodes[name] |= {"score": 0.25, "neurons": layer}
    edges = {}
    for number, (target, before) in enumerate(readers()):
        for source in names[:before]:
            edges[f"{source}->{target}"] = {
                "score": (-1) ** before * (number + len(source) / 8), "in_graph": number % 3 == 0,
            }  # fmt: skip
    cfg = {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 3}
    return {"cfg": cfg, "nodes": nodes, "edges": edges}


def readers():
    """What reads in two layers of two heads, in the files' order, and how many write before it."""
    found = []
    for layer, first in ((0, 1), (1, 4)):
        found += [(f"a{layer}.h{head}<{side}>", first) for side in "qkv" for head in range(2)]
        found.append((f"m{layer}", first + 2))
    return [*found, ("logits", 7)]


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
