"""Attribution graphs beside circuit-tracer, and what a graph of 64 tokens takes of memory.

Both sides read the same random weights and work in turns: circuit-tracer in a process and an
environment of its own, whose Python the variable MICROTOME_TRACER_PYTHON names, Microtome in this
one. One thread each, processor time of the process, medians of five rounds. Its batch size is the
best of those tried in a round before, and the default of 512.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from sweep_work import Peer

from microtome.circuits.attribution.graph import attribution_graph
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.models.loading import load_model
from microtome.records.dictionary import DictionaryIdentity

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
PYTHON = "MICROTOME_TRACER_PYTHON"
ROUNDS, AGREEMENT, DEFAULT, BATCHES = 5, 1e-5, 512, (8, 16, 32, 64)
MOST_MEMORY = 8.0  # GB


@dataclass(frozen=True)
class Shape:
    """A model, its transcoders, and how many times faster a graph should be."""

    name: str
    layers: int
    width: int
    vocabulary: int
    features: int
    k: int
    best: float = 3.0
    default: float | None = 15.0


SHAPES = (
    Shape("toy", 4, 256, 1000, 2048, 16),
    Shape("gpt2", 12, 768, 50_257, 2048, 4, default=None),
)
IDS = [0, *np.random.default_rng(0).integers(1, 1000, 16).tolist()]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(shape, folder):
    """A random GPT-2 and, beside it, its transcoders."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=shape.layers, n_embd=shape.width, n_head=shape.width // 64,
        vocab_size=shape.vocabulary, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    random = torch.Generator().manual_seed(1)

    def draw(*size):
        return torch.randn(*size, generator=random) / shape.width**0.5

    tensors = {"k": torch.tensor(shape.k)}
    for layer in range(shape.layers):
        tensors |= {
            f"{layer}.w_enc": draw(shape.features, shape.width),
            f"{layer}.w_dec": draw(shape.features, shape.width),
            f"{layer}.b_enc": draw(shape.features), f"{layer}.b_dec": draw(shape.width),
        }  # fmt: skip
    save_file(tensors, folder / "transcoders.safetensors")
    return tensors


def made_set(shape, tensors):
    """Microtome's form of the same transcoders."""
    names = ("w_enc", "w_dec", "b_enc", "b_dec")
    layers = [
        Dictionary(
            Weights(**{name: tensors[f"{layer}.{name}"] for name in names}),
            Settings("topk", k=shape.k, centred=False),
            DictionaryIdentity(
                "random", "", 0, 0, 0, reads=f"mlp_in.{layer}", writes=f"mlp_out.{layer}"
            ),
        )
        for layer in range(shape.layers)
    ]
    return Transcoders(tuple(layers))


def graph(model, transcoders):
    start = time.process_time()
    made = attribution_graph(model, transcoders, tuple(IDS))
    return made, time.process_time() - start


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_beside_circuit_tracer(shape, tmp_path, measuring):
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"{PYTHON} names no Python with circuit-tracer; see docs/benchmarks.md")
    transcoders = made_set(shape, save(shape, tmp_path))
    model, peer = load_model(tmp_path), Peer(python, tmp_path, "peer_attribution.py")
    matrix = tmp_path / "matrix.npz"
    asked = {"ids": IDS, "save": None}
    peer.ask({**asked, "batch": 32, "save": str(matrix)})
    made, _ = graph(model, transcoders)
    apart = difference(made, np.load(matrix))
    tried = {batch: peer.ask({**asked, "batch": batch})["seconds"] for batch in BATCHES}
    best = min(tried, key=tried.get)
    print(
        f"\npeer: {peer.versions}; batch sizes {tried}; {made.metadata['active_features']} active"
    )
    sides = {best: shape.best} | ({DEFAULT: shape.default} if shape.default else {})
    ours, theirs = [], {batch: [] for batch in sides}
    for _ in range(ROUNDS):
        ours.append(graph(model, transcoders)[1])
        for batch, seconds in theirs.items():
            seconds.append(peer.ask({**asked, "batch": batch})["seconds"])
    peer.close()
    measuring.figure(f"{shape.name}: Microtome", ours, "CPU s")
    reached = {}
    for batch, least in sides.items():
        measuring.figure(
            f"{shape.name}: circuit-tracer, batches of {batch}", theirs[batch], "CPU s"
        )
        ratios = [their / own for their, own in zip(theirs[batch], ours, strict=True)]
        reached[batch] = measuring.figure(f"{shape.name}: beside {batch}", ratios, "×", least=least)
    print(f"largest difference of an edge, of the largest edge: {apart:.2g}")
    assert apart <= AGREEMENT
    assert all(reached[batch] >= least / measuring.NEAR for batch, least in sides.items())


def difference(made, theirs):
    """How far edges are apart at most, as a share of the largest."""
    rows = [f"{layer}_{feature}_{at}" for layer, at, feature in theirs["features"].tolist()]
    layers = theirs["matrix"].shape[0] - len(rows) - len(theirs["words"])
    layers = layers // len(IDS) - 1
    rows += [f"{layer}_-1_{at}" for layer in range(layers) for at in range(len(IDS))]
    rows += [f"E_{token}_{at}" for at, token in enumerate(IDS)]
    rows += [f"{layers + 1}_{word}_{len(IDS) - 1}" for word in theirs["words"].tolist()]
    place = {name: row for row, name in enumerate(rows)}
    at = np.array([place[name] for name in made.node_id])
    ours = np.zeros_like(theirs["matrix"])
    ours[at[made.edge_target], at[made.edge_source]] = made.edge_weight
    assert set(rows) - set(made.node_id) <= {f"{layer}_-1_0" for layer in range(layers)}
    return np.abs(ours - theirs["matrix"]).max() / np.abs(theirs["matrix"]).max()


MEMORY = """
import sys, time, torch
from microtome.circuits.attribution.estimate import estimate_attribution
from microtome.circuits.attribution.graph import attribution_graph
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.models.loading import load_model
from microtome.records.dictionary import DictionaryIdentity

def most():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6

width, wide, k = 768, 24_576, 64
random = torch.Generator().manual_seed(1)

def one(layer):
    draw = lambda *size: torch.empty(size).uniform_(-0.05, 0.05, generator=random)
    weights = Weights(w_enc=draw(wide, width), w_dec=draw(wide, width), b_enc=draw(wide),
                      b_dec=draw(width))
    named = DictionaryIdentity("random", "", 0, 0, 0, reads=f"mlp_in.{layer}",
                               writes=f"mlp_out.{layer}")
    return Dictionary(weights, Settings("topk", k=k, centred=False), named)

model = load_model(sys.argv[1])
transcoders = Transcoders(tuple(one(layer) for layer in range(12)))
print(f"weights and transcoders: {most():.2f} GB")
prompt = tuple(torch.randint(1, 50_000, (64,), generator=random).tolist())
print(estimate_attribution(model, transcoders, prompt))
start = time.perf_counter(), time.process_time()
made = attribution_graph(model, transcoders, prompt)
told = made.metadata
print(f"{made.n_nodes:,} nodes, {made.n_edges:,} edges of {told['active_features']:,} active "
      f"features in {time.perf_counter() - start[0]:.0f} s, {time.process_time() - start[1]:.0f} "
      f"CPU s; unexplored {told['unexplored']:.2f}")
print(most())
"""


def test_memory_of_a_long_prompt_and_wide_transcoders(tmp_path, measuring):
    transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY, str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    print("\n" + "\n".join(lines[:-1]))
    value = measuring.figure(
        "64 tokens, 24,576 features a layer", [float(lines[-1])], "GB", most=MOST_MEMORY
    )
    assert value <= MOST_MEMORY
