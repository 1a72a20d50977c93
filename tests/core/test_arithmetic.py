"""The arithmetic of every family against transformers and against a plain forward pass."""

from __future__ import annotations

import plain_forward
import pytest
import tiny_models
import torch
from random_anatomy import random_anatomy

from microtome.errors import Cancelled
from microtome.jobs import Job
from microtome.models.arithmetic import anatomy_in, head_outputs, run
from microtome.models.families import family_of
from microtome.models.operations import visible_keys
from microtome.models.resolve import resolve

IDS = torch.tensor([3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2])


@pytest.fixture
def _all_float64(monkeypatch):
    # transformers computes norms and softmax in float32 whatever the model's type is.
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def test_logits_are_the_library_s(tiny_model, family):
    model = tiny_model(family)
    logits = run(model.anatomy, IDS).logits()
    assert (logits - model.forward(IDS[None])[0]).abs().max() < 1e-4


@pytest.mark.usefixtures("_all_float64")
def test_logits_are_the_library_s_in_float64(family):
    module = tiny_models.build(family).double()
    anatomy = resolve(module, family_of(module.config.model_type), module.config)
    logits = run(anatomy_in(anatomy, torch.float64), IDS).logits()
    with torch.inference_mode():
        theirs = module(input_ids=IDS[None], use_cache=False).logits[0]
    assert theirs.dtype == torch.float64
    # BLOOM's own GELU has its root of 2/pi in eight digits.
    assert (logits - theirs).abs().max() < (1e-8 if family == "bloom" else 1e-10)


@pytest.mark.parametrize("parallel", [False, True])
def test_parts_that_no_family_combines(parallel):
    anatomy = random_anatomy(parallel=parallel)
    logits = run(anatomy, IDS % 40).logits()
    plain = plain_forward.logits(anatomy, (IDS % 40).tolist())
    torch.testing.assert_close(logits, plain, atol=1e-12, rtol=0)


def test_logits_of_one_position_are_a_row_of_all(tiny_model):
    ran = run(tiny_model("gemma2").anatomy, IDS)
    torch.testing.assert_close(ran.logits(-1), ran.logits()[-1])


def test_promoting_shares_what_has_the_type_already():
    anatomy = random_anatomy()
    same, narrow = anatomy_in(anatomy, torch.float64), anatomy_in(anatomy, torch.float32)
    assert same.embedding.data_ptr() == anatomy.embedding.data_ptr()
    assert narrow.blocks[0].attention.q_norm.bias.dtype == torch.float32
    assert narrow.blocks[0].attention.rotary.angles(3)[0].dtype == torch.float32


def test_a_window_counts_the_query_itself():
    seen = visible_keys(5, 2, torch.device("cpu"))
    assert seen.tolist() == [[j in (i - 1, i) for j in range(5)] for i in range(5)]


def test_edits_replace_what_is_written():
    anatomy = random_anatomy()
    names = []

    def edit(site, layer, value):
        names.append((site, layer))
        return torch.zeros_like(value) if (site, layer) == ("mlp_out", 1) else value

    before, after = run(anatomy, IDS % 40), run(anatomy, IDS % 40, edit=edit)
    assert [name for name, layer in names if layer <= 0] == [
        "embed", "pos_embed", "z", "attn_out", "mlp_out", "resid_post",
    ]  # fmt: skip
    torch.testing.assert_close(before.blocks[1].mlp_from, after.blocks[1].mlp_from)
    torch.testing.assert_close(after.blocks[1].resid_post, after.blocks[1].mlp_from)
    assert (before.logits() - after.logits()).abs().max() > 0.1


def test_heads_that_read_one_stream_give_what_the_run_gave():
    ran = run(random_anatomy(), IDS % 40)
    for block, kept in zip(ran.anatomy.blocks, ran.blocks, strict=True):
        z = head_outputs(block, *[kept.resid_pre] * 3)
        torch.testing.assert_close(z, kept.attention.z)


def test_a_run_stops_between_layers():
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        run(random_anatomy(), IDS % 40, job=job)
