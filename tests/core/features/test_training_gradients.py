"""Losses and gradients of training against loops in float64; the sparse path against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_training import plain_gradient, plain_loss, plain_threshold_gradient

from microtome.features.training.dead import auxiliary_loss
from microtome.features.training.forms import Across, Own
from microtome.features.training.gradients import dense_gradients
from microtome.features.training.methods import METHODS, largest_of_batch
from microtome.features.training.plan import Plan
from microtome.features.training.sparse import sparse_gradients
from microtome.features.training.state import State

D_IN, D_OUT, WIDTH, ROWS = 4, 3, 7, 6


def batch(rows: int = ROWS, d_in: int = D_IN, d_out: int = D_OUT) -> tuple:
    random = torch.Generator().manual_seed(3)
    x, y = torch.randn(rows, d_in, generator=random), torch.randn(rows, d_out, generator=random)
    return x.double(), y.double()


def started(rule: str, **changes: object) -> State:
    """Random weights in float64, none of them at 0."""
    plan = Plan(rule, WIDTH, 2, pressure=0.3, pressure_warm_up=0.0, bandwidth=0.8, **changes)
    state = State.start(Own(WIDTH, D_IN, D_OUT, transcodes=True), plan, batch())
    random = torch.Generator().manual_seed(5)
    for name, held in state.weights.items():
        moved = held + 0.2 * torch.randn(held.shape, generator=random)
        state.weights[name] = moved.double()
    return state


def arrays(state: State) -> dict:
    return {name: held.detach().numpy().copy() for name, held in state.weights.items()}


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("rule", METHODS)
def test_loss_and_gradients_are_those_of_a_plain_formula(rule: str, skip: bool) -> None:
    state, (x, y) = started(rule, skip=skip), batch()
    none = torch.zeros(WIDTH, dtype=torch.bool)
    found = dense_gradients(state.form, METHODS[rule], state.plan, state.weights, (x, y), none, 0.3)
    held, given = arrays(state), (x.numpy(), y.numpy())

    def loss(moved: dict) -> float:
        # The gate's own reconstruction does not teach the decoder.
        frozen = held | {name: moved[name] for name in moved if name in {"w_enc", "b_gate"}}
        return plain_loss(rule, state.plan, moved, *given, frozen)

    assert found.loss == pytest.approx(loss(held), rel=1e-9)
    assert 0 < int(found.on.sum()) < ROWS * WIDTH
    for name, tensor in state.weights.items():
        if name == "log_threshold":
            wanted = plain_threshold_gradient(state.plan, held, *given) if not skip else None
        else:
            wanted = plain_gradient(loss, held, name)
        if wanted is not None:
            assert np.abs(tensor.grad.numpy() - wanted).max() < 1e-6, name


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("dead", [0, 9])
def test_the_sparse_path_has_the_gradients_of_autograd(skip: bool, dead: int) -> None:
    d_in, d_out, width, rows = 12, 10, 40, 64
    plan = Plan(width=width, k=5, skip=skip)
    x, y = (each.float() for each in batch(rows, d_in, d_out))
    state = State.start(Own(width, d_in, d_out, transcodes=True), plan, (x, y))
    state.weights["b_enc"] -= 1.5  # so that some of the largest are not positive
    off = torch.arange(width) < dead
    wanted = dense_gradients(state.form, METHODS["topk"], plan, state.weights, (x, y), off, 0.0)
    dense = {name: held.grad.clone() for name, held in state.weights.items()}
    found = sparse_gradients(plan, state.weights, (x, y), off)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
    assert torch.equal(found.on, wanted.on)
    assert int(found.on.sum()) < rows * plan.k
    for name, held in state.weights.items():
        scale = float(dense[name].abs().max())
        assert float((held.grad - dense[name]).abs().max()) < 1e-6 * max(1, scale), name


def test_the_threshold_of_a_batch_rule_is_a_running_mean() -> None:
    state = started("batchtopk")
    wanted = None
    for seed in range(4):
        random = torch.Generator().manual_seed(seed)
        x = torch.randn(ROWS, D_IN, generator=random).double() * (seed + 1)
        y = torch.randn(ROWS, D_OUT, generator=random).double()
        codes = largest_of_batch(state.form.read(state.weights, x), state.plan.k)
        smallest = float(codes[codes > 0].min())
        state.advance((x, y))
        wanted = smallest if wanted is None else 0.99 * wanted + 0.01 * smallest
        assert float(state.cut) == pytest.approx(wanted, rel=1e-9)
    assert abs(float(state.cut) - smallest) > 0.01


@pytest.mark.parametrize("rule", ["relu", "topk"])
def test_no_step_lengthens_rows_of_the_decoder(rule: str) -> None:
    state, sides = started(rule), batch()
    state.renormalise()
    rows = state.weights["w_dec"].clone()
    state.gradients(sides)
    along = torch.linalg.vecdot(state.weights["w_dec"].grad, rows)
    assert float(along.abs().max()) > 0.1
    state.advance(sides)  # with the gradients that Adam was given left in place
    along = torch.linalg.vecdot(state.weights["w_dec"].grad, rows)
    assert float(along.abs().max()) < 1e-12
    assert torch.allclose(state.weights["w_dec"].norm(dim=1), torch.ones(WIDTH).double())


def test_rate_and_pressure_rise_and_fall_with_the_steps() -> None:
    plan = Plan("relu", WIDTH, 2, 100, rate=2.0, warm_up=0.1, decay=0.4, pressure=0.3,
                pressure_warm_up=0.2)  # fmt: skip
    rates = [plan.rate_at(step) for step in (0, 4, 9, 60, 80, 99)]
    assert rates == pytest.approx([0.2, 1.0, 2.0, 2.0, 1.0, 0.05])
    assert [plan.pressure_at(step, 9.0) for step in (0, 10, 20, 99)] == [0, 0.15, 0.3, 0.3]
    assert plan.but(pressure=None).pressure_at(10, 9.0) == 4.5
    state = State.start(Own(WIDTH, D_IN, D_OUT, transcodes=True), plan, batch())
    state.weights = {name: held.double() for name, held in state.weights.items()}
    for step, weight in ((0, 0.0), (10, 0.15), (40, 0.3)):
        state.step = step
        found = state.gradients(batch())
        codes = state.form.read(state.weights, batch()[0]).relu()
        asked = found.error + weight * float(codes.detach().sum(1).mean())
        assert found.loss == pytest.approx(asked, rel=1e-9)


def test_the_auxiliary_loss_is_the_error_that_dead_features_leave() -> None:
    pre = torch.tensor([[3.0, 2.0, 1.0, -1.0]])
    error, directions = torch.tensor([[1.0, 5.0, 0.0, 0.0]]), torch.eye(4)
    dead = torch.tensor([False, True, True, True])
    found = auxiliary_loss(pre, error, dead, lambda codes: codes @ directions)
    # Half of four: the two largest dead ones, of which 1 writes 2 and 2 writes 1.
    assert float(found) == pytest.approx(1 + 3**2 + 1)
    only = torch.tensor([False, True, False, False])
    found = auxiliary_loss(pre, error, only, lambda codes: codes @ directions)
    assert float(found) == pytest.approx((1 + 3**2) / 2)
    # Of two layers, one has no dead feature and is left as it is.
    both = auxiliary_loss(
        pre.expand(1, 2, 4), error.expand(1, 2, 4), torch.stack([dead, dead & False]),
        lambda codes: codes @ directions,
    )  # fmt: skip
    assert float(both) == pytest.approx(1 + 3**2 + 1 + 1 + 5**2)


def test_features_of_a_cross_layer_transcoder_write_all_layers_behind() -> None:
    form, plan = Across(3, 5, 4, 2), Plan(width=5, k=2, skip=True)
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 3, 4, generator=random), torch.randn(6, 3, 2, generator=random)
    state = State.start(form, plan, (x, y))
    for each in state.weights.values():
        each.add_(0.1 * torch.randn(each.shape, generator=random))
    held = arrays(state)
    codes = form.read(state.weights, x).relu()
    wanted = np.zeros((6, 3, 2))
    for layer in range(3):
        wanted[:, layer] += held["b_dec"][layer] + x[:, layer].numpy() @ held["w_skip"][layer].T
        for before in range(layer + 1):
            own = held[f"w_dec.{before}"][:, layer - before]
            pre = x[:, before].numpy() @ held["w_enc"][before].T + held["b_enc"][before]
            wanted[:, layer] += np.maximum(pre, 0) @ own
    assert np.abs(form.decode(state.weights, codes, x).detach().numpy() - wanted).max() < 1e-5
    state.renormalise()
    for layer in range(3):
        norms = state.weights[f"w_dec.{layer}"].flatten(1).norm(dim=1)
        assert torch.allclose(norms, torch.ones(5), atol=1e-6)
