"""An attribution graph of 1 GB, 9 million links: from the file to columns, in a fresh process.

And the two sliders on a graph of a million edges.

The whole time from the call to the circuit, and the most memory that the process ever had, Python,
NumPy and SciPy among it; then the session of the graph, saved, and opened by the engine alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microtome.circuits.influences import Influences
from microtome.records.circuit import Circuit

pytestmark = pytest.mark.benchmark
LINKS, FEATURES, LAYERS, TOKENS = 9_000_000, 20_000, 26, 64
AT_ONCE, ROUNDS = 100_000, 3
STEP_WANTED = 100  # ms
SECONDS_WANTED, MEMORY_WANTED, OPENED_WANTED = 60, 3, 0.5

READ = """
import json, resource, sys, time
import microtome as mt
from microtome.circuits.formats.sessions import session_of
began = time.perf_counter()
circuit = mt.read_graph(sys.argv[1])
seconds = time.perf_counter() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
mt.save_session(sys.argv[2], session_of(circuit))
print(json.dumps([seconds, memory, circuit.n_edges]))
"""
OPEN = """
import json, os, sys, time
import microtome as mt
import numpy, h5py
def timed(act):
    wall, own = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - own
opened = timed(lambda: mt.open_session(sys.argv[1]))
child = sum(os.times()[2:4])
session = []
again = timed(lambda: session.append(mt.open_session(sys.argv[1])))
edges = timed(lambda: session[0].circuit.edge_weight)
print(json.dumps([*opened, child, *again, *edges]))
"""
OPENED = (
    "its session opened", "of this process, processor time", "of the child that tries it",
    "opened again", "again, processor time", "its edges read", "edges, processor time",
)  # fmt: skip


def nodes() -> list[dict[str, Any]]:
    """Features in the order of layers, tokens, and one logit."""
    rng = np.random.default_rng(0)
    layers = np.sort(rng.integers(0, LAYERS, FEATURES)).tolist()
    features = rng.permutation(65_536)[:FEATURES].tolist()
    places = rng.integers(0, TOKENS, FEATURES).tolist()
    known = {"token_prob": 0.0, "is_target_logit": False, "run_idx": 0, "reverse_ctx_idx": 0}
    found = [
        {
            "node_id": f"{layer}_{index}_{at}", "feature": None, "layer": str(layer),
            "ctx_idx": at, "feature_type": "cross layer transcoder", "clerp": "",
            "jsNodeId": f"{layer}_{index}-0", "activation": index / 7, "influence": row / FEATURES,
            **known,
        }
        for row, (layer, index, at) in enumerate(zip(layers, features, places, strict=True))
    ]  # fmt: skip
    logit = {"node_id": f"{LAYERS + 1}_7_{TOKENS - 1}", "layer": str(LAYERS + 1), "feature": 7}
    label = {"feature_type": "logit", "clerp": 'Output " a" (p=0.900)', "jsNodeId": "L_7-63"}
    return [*found, {**known, **logit, **label, "ctx_idx": TOKENS - 1, "influence": None}]


def links(ids: list[str]) -> Iterator[str]:
    """Links from earlier to later nodes, each laid out on lines of its own."""
    rng = np.random.default_rng(1)
    for _ in range(0, LINKS, AT_ONCE):
        ends = np.sort(rng.integers(0, len(ids) - 1, (AT_ONCE, 2)))
        weights = rng.standard_normal(AT_ONCE, np.float32).astype(float)
        yield ",\n".join(
            f'    {{\n      "source": "{ids[a]}",\n      "target": "{ids[b + 1]}",\n'
            f'      "weight": {weight!r}\n    }}'
            for (a, b), weight in zip(ends.tolist(), weights.tolist(), strict=True)
        )


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "graph.json"
    made = nodes()
    prompt = {"prompt": "t" * TOKENS, "prompt_tokens": ["t"] * TOKENS}
    metadata = {"slug": "large", "scan": "gemma-2-2b", **prompt, "schema_version": 1}
    with path.open("w") as file:
        file.write(f'{{"metadata": {json.dumps(metadata)}, "qParams": {{}}, "nodes": ')
        file.write(f'{json.dumps(made, indent=2)}, "links": [\n')
        for number, part in enumerate(links([str(node["node_id"]) for node in made])):
            file.write((",\n" if number else "") + part)
        file.write("]}")
    return path


def test_a_graph_of_a_gigabyte(graph: Path, measuring: Any) -> None:
    print(f"\n{graph.stat().st_size / 1e9:.2f} GB")
    seconds, memory, opened = [], [], []
    session = graph.with_suffix(".h5")
    for _ in range(ROUNDS):
        took, most, count = json.loads(_said(READ, graph, session))
        assert count == LINKS
        seconds.append(took)
        memory.append(most)
        opened.append(json.loads(_said(OPEN, session)))
    measuring.figure("a graph of 1 GB read", seconds, "s", SECONDS_WANTED)
    measuring.figure("memory of the process", memory, "GB", MEMORY_WANTED)
    for name, each in zip(OPENED, zip(*opened, strict=True), strict=True):
        measuring.figure(name, each, "s", OPENED_WANTED if name == OPENED[0] else None)


def test_a_step_of_a_slider_at_a_million_edges(measuring: Any) -> None:
    circuit = layered(1_000_000)
    began = time.perf_counter()
    held = Influences.of(circuit)
    ready = 1000 * (time.perf_counter() - began)
    nodes, edges = [], []
    shares = (0.8, 0.6, 0.9, 0.95, 0.99, 1.0)
    for share in shares:
        nodes.append(_step(circuit, held, share, 0.98))
        edges.append(_step(circuit, held, share, 0.9))
    measuring.figure("a million edges made ready", [ready], "ms")
    told = measuring.figure("a step of the node slider, then drawn", nodes, "ms", most=STEP_WANTED)
    measuring.figure("a step of the edge slider", edges, "ms", most=STEP_WANTED)
    assert told <= STEP_WANTED / measuring.NEAR


def _step(circuit: Circuit, held: Influences, nodes: float, edges: float) -> float:
    began = time.perf_counter()
    circuit.select(*held.kept(nodes, edges))
    return 1000 * (time.perf_counter() - began)


def layered(edges: int) -> Circuit:
    """Tokens, features and errors of layers, and ten outputs."""
    rng = np.random.default_rng(2)
    n = FEATURES
    layer = np.sort(rng.integers(-1, LAYERS, n))
    kinds = np.where(layer < 0, "token", np.where(rng.random(n) < 0.1, "error", "feature"))
    kinds[-10:], layer[-10:] = "output", LAYERS + 1
    ends = rng.integers(0, n, (4 * edges, 2))
    takes = np.isin(kinds[ends[:, 1]], ("feature", "output"))
    ends = ends[(layer[ends[:, 0]] < layer[ends[:, 1]]) & takes][:edges]
    none, zero = np.full(n, -1, np.int32), np.zeros(n)
    return Circuit(
        tuple(map(str, range(n))), tuple(kinds.tolist()), layer.astype(np.int32), none, none, none,
        tuple(kinds.tolist()), zero, np.where(kinds == "output", 0.1, 0.0), zero,
        ends[:, 0].astype(np.int32), ends[:, 1].astype(np.int32), np.full(len(ends), 5, np.int8),
        rng.standard_normal(len(ends)) ** 3, np.zeros(len(ends)),
    )  # fmt: skip


def _said(program: str, *paths: Path) -> str:
    arguments = [sys.executable, "-c", program, *map(str, paths)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
