"""An attribution graph of 1 GB, 9 million links: from the file to columns, in a fresh process.

The whole time from the call to the circuit, and the most memory that the process ever had, Python,
NumPy and SciPy among it; then the session of the graph, saved, and opened by the engine alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.benchmark
LINKS, FEATURES, LAYERS, TOKENS = 9_000_000, 20_000, 26, 64
AT_ONCE, ROUNDS = 100_000, 3
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
import sys, time
import microtome as mt
import numpy, h5py
began = time.perf_counter()
mt.open_session(sys.argv[1])
print(time.perf_counter() - began)
"""


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
        opened.append(float(_said(OPEN, session)))
    measuring.figure("a graph of 1 GB read", seconds, "s", SECONDS_WANTED)
    measuring.figure("memory of the process", memory, "GB", MEMORY_WANTED)
    measuring.figure("its session opened", opened, "s", OPENED_WANTED)


def _said(program: str, *paths: Path) -> str:
    arguments = [sys.executable, "-c", program, *map(str, paths)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
