"""Memory of a model of 1.5 billion parameters in bfloat16: opened, examined, checked nowhere else.

The shape is Qwen2-1.5B's, the weights are random and made on the spot. Each step is measured in a
fresh process by the system's own high-water mark; the wanted limit is 16 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
import transformers

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
TOKENS, GIB, LIMIT = 32, 1 << 30, 16

_STEPS = """
import json, sys, time
def high():
    rows = open("/proc/self/status").read().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM"))
import microtome as mt
start, before = time.perf_counter(), high()
model = mt.load_model(sys.argv[1], dtype="bfloat16")
loaded, opening = high(), time.perf_counter() - start
ids = tuple(range(100, 100 + int(sys.argv[2])))
start = time.perf_counter()
session = mt.examine(model, mt.Question(ids))
found = {
    "parameters": model.identity.n_parameters, "before": before, "loaded": loaded,
    "examined": high(), "opening": opening, "examining": time.perf_counter() - start,
    "weights": model.memory.weights, "circuit": model.memory.circuit,
    "nodes": session.circuit.n_nodes, "edges": session.circuit.n_edges,
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("large")
    config = transformers.Qwen2Config(
        vocab_size=151_936, hidden_size=1536, num_hidden_layers=28, num_attention_heads=12,
        num_key_value_heads=2, intermediate_size=8960, max_position_embeddings=4096,
        tie_word_embeddings=True, dtype="bfloat16",
    )  # fmt: skip
    with torch.device("meta"):
        bare = transformers.Qwen2ForCausalLM(config).to(torch.bfloat16)
    model = bare.to_empty(device="cpu")
    model.tie_weights()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.02, generator=generator)
            else:
                weight.fill_(1.0 if "norm" in name else 0.0)
    model.save_pretrained(made)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is read from /proc")
def test_a_model_of_billions_fits_sixteen_gib(folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _STEPS, str(folder), str(TOKENS)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{found['parameters'] / 1e9:.2f} billion parameters in bfloat16; peak memory: "
        f"program {found['before'] / GIB:.2f} GiB, opened {found['loaded'] / GIB:.2f} GiB in "
        f"{found['opening']:.0f} s, examined on {TOKENS} tokens {found['examined'] / GIB:.2f} GiB "
        f"in {found['examining']:.0f} s; estimated before: weights {found['weights'] / GIB:.2f}, "
        f"circuit {found['circuit'] / GIB:.2f} GiB; {found['nodes']} nodes, {found['edges']} edges"
    )
    assert found["parameters"] > 1.5e9
    assert found["edges"] > 0
    assert found["examined"] < LIMIT * GIB
    estimated = found["before"] + found["weights"] + found["circuit"]
    assert 0.75 * found["examined"] < estimated < 1.1 * found["examined"]
