"""Each self-check goes red under a deliberate break, and each known break turns a check red.

Breaks of the anatomy stand for a family row that reads the weights wrongly; breaks of the hooks
and of the module stand for a reader or an edit that disturbs what it touches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from red_checks import noted

from microtome.activations import capture
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.models import attention as attention_function
from microtome.models.anatomy import Anatomy
from microtome.models.model import Model
from microtome.selfcheck import editing, suite
from microtome.selfcheck.suite import CHECKS, self_check

READING = {1, 2, 3, 6, 7, 8, 9}  # checks that look at weights and values
EDITING = {4, 10, 13, 17}  # checks of edits; 5 and 12 are of what a run leaves behind


@pytest.fixture(autouse=True)
def _few_interruptions(monkeypatch):
    monkeypatch.setattr(editing, "_STOPS", 2)
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", 0.0)


def failed(model: Model, among: set[int]) -> set[int]:
    """The checks that fail, of those that a break could concern."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "CHECKS", [row for row in CHECKS if row.number in among])
        report = self_check(model)
    assert len(report.results) == len(among)
    noted(report.results)
    crashed = [result.reason for result in report.failures if result.measured is None]
    assert not crashed  # a check that only fell over has measured nothing
    return {result.number for result in report.failures}


# ---------------------------------------------------------------------- weights read wrongly

Break = Callable[[Anatomy], Anatomy]


def in_block(layer: int, **changes: Callable) -> Break:
    """``attention__b_o=f``: replace that part of a block by f of it."""

    def broken(anatomy: Anatomy) -> Anatomy:
        blocks = list(anatomy.blocks)
        for path, change in changes.items():
            blocks[layer] = changed(blocks[layer], path.split("__"), change)
        return replace(anatomy, blocks=tuple(blocks))

    return broken


def changed(part, path: list[str], change: Callable):
    first, *rest = path
    inner = getattr(part, first)
    return replace(part, **{first: changed(inner, rest, change) if rest else change(inner)})


def outside(**changes: Callable) -> Break:
    """The same for parts outside the blocks."""

    def broken(anatomy: Anatomy) -> Anatomy:
        for path, change in changes.items():
            anatomy = changed(anatomy, path.split("__"), change)
        return anatomy

    return broken


def none(_part):
    return None


def no(_part):
    return False


def yes(_part):
    return True


def swapped(heads: torch.Tensor) -> torch.Tensor:
    return heads.flip(0)


def without_one(weight: torch.Tensor) -> torch.Tensor:
    return weight - 1


WEIGHTS = {
    "1 of 1 + w dropped, final norm": ("gemma2", outside(final_norm__weight=without_one), 2),
    "1 of 1 + w dropped, first norm": ("gemma2", in_block(1, norm1__weight=without_one), 3),
    "1 of 1 + w dropped, second norm": ("gemma2", in_block(1, norm2__weight=without_one), 3),
    "1 of 1 + w dropped, attention norm": (
        "gemma2",
        in_block(0, attention_norm__weight=without_one),
        3,
    ),
    "1 of 1 + w dropped, MLP norm": ("gemma2", in_block(0, mlp_norm__weight=without_one), 3),
    "centring dropped, final norm": ("gpt2", outside(final_norm__centred=lambda _: False), 2),
    "centring dropped, first norm": ("gpt2", in_block(0, norm1__centred=lambda _: False), 3),
    "centring added": ("llama", outside(final_norm__centred=lambda _: True), 2),
    "epsilon lost": ("gpt2", outside(final_norm__eps=lambda _: 1.0), 2),
    "norm bias dropped": ("gpt2", outside(final_norm__bias=none), 2),
    "first norm's bias dropped": ("gpt2", in_block(2, norm1__bias=none), 3),
    "second norm's bias dropped": ("gpt_neox", in_block(2, norm2__bias=none), 3),
    "final soft cap dropped": ("gemma2", outside(soft_cap=none), 2),
    "attention soft cap dropped": ("gemma2", in_block(1, attention__soft_cap=none), 9),
    "output bias dropped": ("gpt2", in_block(1, attention__b_o=none), 3),
    "value bias dropped": ("gpt2", in_block(1, attention__b_v=none), 3),
    "query bias dropped": ("gpt2", in_block(1, attention__b_q=none), 9),
    "key bias dropped": ("qwen2", in_block(1, attention__b_k=none), 9),
    "MLP input bias dropped": ("gpt2", in_block(0, mlp__b_in=none), 3),
    "MLP output bias dropped": ("gpt_neox", in_block(0, mlp__b_out=none), 3),
    "gate bias dropped": ("llama", in_block(0, mlp__b_gate=none), 3),
    "gate and input exchanged": (
        "mistral",
        lambda anatomy: in_block(
            0,
            mlp__w_gate=lambda _: anatomy.blocks[0].mlp.w_in,
            mlp__w_in=lambda _: anatomy.blocks[0].mlp.w_gate,
        )(anatomy),
        3,
    ),
    "another activation": ("gpt_neox", in_block(0, mlp__activation=lambda _: "relu"), 3),
    "two key heads swapped": ("llama", in_block(1, attention__w_k=swapped), 9),
    "two value heads swapped": ("llama", in_block(1, attention__w_v=swapped), 3),
    "output matrices of heads swapped": ("gpt_neox", in_block(1, attention__w_o=swapped), 3),
    "query heads swapped": ("mistral", in_block(1, attention__w_q=swapped), 9),
    "positions shifted by one": ("gpt2", outside(positions=lambda table: table.roll(1, 0)), 1),
    "window one too short": ("mistral", in_block(1, attention__window=lambda size: size - 1), 6),
    "window one too long": ("mistral", in_block(1, attention__window=lambda size: size + 1), 6),
    "window of the wrong layer": ("gemma2", in_block(0, attention__window=none), 9),
    "score scale by head width": ("gemma2", in_block(1, attention__scale=lambda _: 8**-0.5), 9),
    "rotation dropped": ("llama", in_block(1, attention__rotary=none), 9),
    "query norm dropped": ("qwen3", in_block(1, attention__q_norm=none), 9),
    "key norm dropped": ("qwen3", in_block(1, attention__k_norm=none), 9),
    "embedding scale dropped": ("gemma2", outside(embedding_scale=lambda _: 1.0), 1),
    "embedding shifted by one row": ("qwen2", outside(embedding=lambda table: table.roll(1, 0)), 1),
    "unembedding shifted by one row": (
        "gpt2",
        outside(unembedding=lambda table: table.roll(1, 0)),
        2,
    ),
    "parallel blocks read as serial": ("gpt_neox", in_block(1, parallel=lambda _: False), 3),
    "serial blocks read as parallel": ("gpt_neox_serial", in_block(1, parallel=lambda _: True), 3),
    "a branch norm dropped": ("gemma2", in_block(1, attention_norm=none), 3),
    "bias of scores dropped": ("bloom", in_block(1, attention__bias=none), 9),
    "norm behind the embedding dropped": ("bloom", outside(embedding_norm=none), 1),
    "neighbours turned as halves": (
        "gptj",
        in_block(1, attention__rotary__interleaved=no),
        9,
    ),
    "a layer without rotation turned": (
        "smollm3",
        lambda anatomy: in_block(1, attention__rotary=lambda _: anatomy.blocks[0].attention.rotary)(
            anatomy
        ),
        9,
    ),
    "joint norm taken head by head": ("olmo2", in_block(1, attention__k_norm__joint=no), 9),
    "chosen experts not renormalised": ("mixtral", in_block(1, mlp__router__renormalise=no), 3),
    "an expert too many": ("qwen3_moe", in_block(1, mlp__router__chosen=lambda _: 3), 3),
    "shared expert forgotten": ("qwen2_moe", in_block(1, mlp__shared=none), 3),
    "bias of a norm on the stream dropped": ("bert", in_block(1, sum_norm1__bias=none), 1),
    "last norm on the stream forgotten": ("opt_post_norm", in_block(2, sum_norm2=none), 1),
    "token type forgotten": ("bert", outside(token_type=none), 1),
    "norm on the embeddings forgotten": ("distilbert", outside(stream_norm=none), 1),
    "narrow embeddings turned": ("opt_post_norm", outside(embedding_map=swapped), 1),
    "last matrix turned": ("opt_post_norm", outside(transform__weight=swapped), 2),
    "read as if it saw nothing ahead": ("bert", in_block(0, attention__causal=yes), 6),
    "a window to one side": ("modernbert", in_block(1, attention__causal=yes), 6),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_read_wrongly_are_found(tiny_model, name):
    family, broken, number = WEIGHTS[name]
    model = tiny_model(family)
    misread = copy.copy(model)
    misread.__dict__["anatomy"] = broken(model.anatomy)
    found = failed(misread, READING)
    assert number in found
    assert not found & {7, 8}  # these ask the model alone


# ---------------------------------------------------------------------- reading that disturbs


def private(model: Model) -> Model:
    """A copy that a test may spoil."""
    return Model(copy.deepcopy(model.module), model.family, model.identity, model.tokenizer)


def tampered(monkeypatch, chain):
    """Have every run's taps at a place replaced by ``chain`` of them."""
    honest = capture.tapping

    def tapping(model, taps, checkpoint=None):
        return honest(model, {site: chain(list(held)) for site, held in taps.items()}, checkpoint)

    monkeypatch.setattr(capture, "tapping", tapping)


def test_a_hook_that_changes_what_it_reads_is_found(tiny_model, monkeypatch):
    tampered(monkeypatch, lambda taps: [*taps, lambda values: values * 1.0001])
    assert failed(tiny_model("gpt2"), {10}) == {10}


def test_hooks_left_behind_by_a_stopped_run_are_found(tiny_model, monkeypatch):
    honest = capture.tapping

    @contextmanager
    def careless(model, taps, checkpoint=None):
        entered = honest(model, taps, checkpoint)
        kept.append(entered)  # or its hooks would go with it
        yield entered.__enter__()
        entered.__exit__(None, None, None)  # not reached when the run raises

    kept = []
    monkeypatch.setattr(capture, "tapping", careless)
    assert failed(private(tiny_model("gpt2")), {12}) == {12}
    assert failed(private(tiny_model("gpt2")), {5}) == {5}


def test_an_edit_left_behind_is_found(tiny_model, monkeypatch):
    honest = capture.tapping
    model = private(tiny_model("gpt2"))

    @contextmanager
    def clinging(model, taps, checkpoint=None):
        with honest(model, taps, checkpoint):
            yield
        block = model.module.transformer.h[1]
        block.register_forward_hook(lambda _m, _i, output: output)
        block.mlp.register_forward_hook(lambda _m, _i, output: output * 1.001)

    monkeypatch.setattr(capture, "tapping", clinging)
    assert failed(model, {5}) == {5}
    assert failed(model, {12}) == {12}


# ---------------------------------------------------------------------- edits that miss


def test_a_patch_one_position_late_is_found(tiny_model, monkeypatch):
    honest = Patch.taps

    def late(patch, model, positions, job, source=0):
        moved = np.roll(patch.value, 1, axis=0)
        return honest(Patch(patch.site, moved), model, positions, job, source)

    monkeypatch.setattr(Patch, "taps", late)
    assert failed(tiny_model("qwen2"), EDITING) == {4}


def test_a_patch_that_does_nothing_is_found(tiny_model, monkeypatch):
    monkeypatch.setattr(Patch, "taps", lambda *_: {})
    assert failed(tiny_model("gemma2"), EDITING) == {4}


def test_a_patch_that_only_the_record_sees_is_found(tiny_model, monkeypatch):
    genuine = []

    def remember(values):
        genuine.append(values)
        return values

    tampered(monkeypatch, lambda taps: [remember, *taps, lambda _: genuine.pop()])
    assert failed(tiny_model("gpt2"), {4}) == {4}


def test_an_ablation_that_wears_off_is_found(tiny_model, monkeypatch):
    honest = Ablate.taps
    used = set()

    def fading(ablation, model, positions, job, source=0):
        if str(ablation) in used:
            return {}
        used.add(str(ablation))
        return honest(ablation, model, positions, job, source)

    monkeypatch.setattr(Ablate, "taps", fading)
    assert failed(tiny_model("gpt_neox"), EDITING) == {13}


def test_edits_that_depend_on_their_order_are_found(tiny_model, monkeypatch):
    honest, given = Ablate.taps, []

    def every_second(ablation, model, positions, job, source=0):
        given.append(ablation)
        return honest(ablation, model, positions, job, source) if len(given) % 2 else {}

    monkeypatch.setattr(Ablate, "taps", every_second)
    assert failed(tiny_model("llama"), EDITING) == {13}


def test_a_resampling_of_the_wrong_row_is_found(tiny_model, monkeypatch):
    honest = Ablate.taps

    def late(ablation, model, positions, job, source=0):
        found = honest(ablation, model, positions, job, source)
        if ablation.kind == "zero":
            return found
        return {site: lambda values, tap=tap: tap(values).roll(1, 1) for site, tap in found.items()}

    monkeypatch.setattr(Ablate, "taps", late)
    assert failed(tiny_model("qwen3"), EDITING) == {4}


def test_steering_that_does_nothing_is_found(tiny_model, monkeypatch):
    monkeypatch.setattr(Steer, "taps", lambda *_: {})
    assert failed(tiny_model("gpt2"), EDITING) == {17}


def test_steering_that_takes_out_too_little_is_found(tiny_model, monkeypatch):
    honest = Steer.taps

    def weak(steer, *rest):
        out = steer.project_out
        share = 0.99 if out else steer.strength
        return honest(Steer(steer.site, steer.direction, share, project_out=out), *rest)

    monkeypatch.setattr(Steer, "taps", weak)
    assert failed(tiny_model("gemma2"), EDITING) == {17}


# ---------------------------------------------------------------------- a model that is not right


def test_attention_to_what_comes_later_is_found(tiny_model, monkeypatch):
    honest = attention_function.attend

    def unmasked(module, query, key, value, attention_mask, **options):
        return honest(module, query, key, value, None, **options)

    monkeypatch.setitem(
        attention_function.AttentionInterface._global_mapping, attention_function.NAME, unmasked
    )
    assert {6, 8} <= failed(tiny_model("gpt2"), READING)


def test_another_score_scale_than_the_library_is_found(tiny_model, monkeypatch):
    honest = attention_function.attend

    def scaled(module, query, key, value, attention_mask, scaling=None, **options):
        return honest(module, query, key, value, attention_mask, scaling * 1.01, **options)

    monkeypatch.setitem(
        attention_function.AttentionInterface._global_mapping, attention_function.NAME, scaled
    )
    assert {8, 9} <= failed(tiny_model("llama"), READING)


def test_positions_that_the_model_does_not_hear_are_found(tiny_model):
    model = private(tiny_model("gpt2"))

    def deaf(_module, args, kwargs):
        return args, {key: value for key, value in kwargs.items() if key != "position_ids"}

    model.module.register_forward_pre_hook(deaf, with_kwargs=True)
    assert failed(model, READING) == {7}


def test_padding_that_is_attended_to_is_found(tiny_model):
    model = private(tiny_model("llama"))

    def blind(_module, args, kwargs):
        mask = kwargs.get("attention_mask")
        return args, kwargs if mask is None else {**kwargs, "attention_mask": torch.ones_like(mask)}

    model.module.register_forward_pre_hook(blind, with_kwargs=True)
    assert failed(model, READING) == {7}
