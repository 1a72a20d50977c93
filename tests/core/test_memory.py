"""What a run takes of memory, said before it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from microtome.activations.budget import plan_capture
from microtome.activations.capture import trace
from microtome.analysis.memory import space_memory
from microtome.circuits.memory import run_memory
from microtome.errors import MemoryExceeded
from microtome.examining import examine
from microtome.models.arithmetic import run
from microtome.prompts import Question
from microtome.sites import Site

PROMPT = tuple(range(2, 42))


def tensors(value, seen):
    """Every tensor in a value made of dataclasses, each memory once."""
    if isinstance(value, torch.Tensor):
        seen[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
    elif isinstance(value, tuple):
        for each in value:
            tensors(each, seen)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            if each.name != "anatomy":
                tensors(getattr(value, each.name), seen)
    return seen


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_peak_holds_the_circuit_s_own_runs_and_not_much_more(tiny_model, name):
    model = tiny_model(name)
    found = run_memory(model, len(PROMPT))
    held = sum(tensors(run(model.anatomy, torch.tensor(PROMPT)), {}).values())
    blocks = 2 * (1 << 23) * 4
    assert found.kept + held < found.peak - blocks < found.kept + 5 * held
    pair = run_memory(model, len(PROMPT), pair=True)
    assert pair.kept == 2 * found.kept
    assert pair.peak - blocks > found.kept * 2 + 2 * held


def test_what_is_kept_is_what_a_run_keeps(tiny_model):
    model = tiny_model("gpt2")
    kept = trace(model, PROMPT)
    arrays = sum(held.values.nbytes for held in kept.activations.values())
    assert run_memory(model, len(PROMPT)).kept == arrays + kept.logits.nbytes


def test_half_precision_is_copied(tiny_model):
    whole, half = (run_memory(tiny_model("gpt2", dtype=d), 8) for d in ("float32", "bfloat16"))
    parameters = tiny_model("gpt2").identity.n_parameters
    assert half.peak - whole.peak == 4 * parameters


def test_a_budget_leaves_out_what_helps_least(tiny_model):
    model = tiny_model("gpt2")
    full = plan_capture(model, len(PROMPT))
    small = run_memory(model, len(PROMPT), budget=full.n_bytes // 2)
    assert small.kept <= full.n_bytes // 2
    assert small.left_out
    with pytest.raises(MemoryExceeded):
        run_memory(model, len(PROMPT), budget=10)
    session = examine(model, Question(PROMPT), budget=full.n_bytes // 2, edges=3)
    assert not set(small.left_out) & set(session.clean.activations)
    into = [len(session.circuit.incoming(row)) for row in range(session.circuit.n_nodes)]
    assert max(into) <= 3


def test_a_feature_space_grows_with_points_layers_and_prompts(tiny_model):
    model = tiny_model("gpt2").identity
    one = space_memory(model, Site("resid_post", 1), 1000, 16)
    assert one > 1000 * model.d_model * 4
    assert space_memory(model, Site("resid_post", 1), 4000, 16) > one
    assert space_memory(model, Site("resid_post"), 1000, 16) > one
    assert space_memory(model, Site("resid_post", 1), 1000, 64) > one
    whole, head = (space_memory(model, Site("z", 1, at), 10**6, 16) for at in (None, 0))
    assert whole > 2 * head
