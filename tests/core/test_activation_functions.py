"""Activation functions against transformers, division and automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from transformers.activations import ACT2FN

from microtome.errors import UnknownArchitecture
from microtome.models.activation_functions import ACTIVATION_FUNCTIONS, activation_function

NAMES = tuple(ACTIVATION_FUNCTIONS)
LIBRARY = {"gelu_tanh": ("gelu_new", "gelu_pytorch_tanh"), "gelu": ("gelu",)}
POINTS = torch.cat([torch.linspace(-9, 9, 181, dtype=torch.float64), torch.tensor([1e-9, -40.0])])


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_the_library_s(name):
    for theirs in LIBRARY.get(name, (name,)):
        value = activation_function(name).value(POINTS)
        torch.testing.assert_close(value, ACT2FN[theirs](POINTS), atol=1e-14, rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_the_secant_is_the_value_over_the_point(name):
    act = activation_function(name)
    there = POINTS[POINTS != 0]
    quotient = ACT2FN[LIBRARY.get(name, (name,))[0]](there) / there
    torch.testing.assert_close(act.secant(there), quotient, atol=1e-13, rtol=1e-9)
    assert torch.isfinite(act.secant(torch.zeros(1))).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_that_of_automatic_differentiation(name):
    act = activation_function(name)
    x = POINTS[POINTS != 0].clone().requires_grad_()
    ACT2FN[LIBRARY.get(name, (name,))[0]](x).sum().backward()
    torch.testing.assert_close(act.derivative(x.detach()), x.grad, atol=1e-13, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [3.0, 1e-2, 1e-5, 1e-9, 0.0])
def test_the_slope_times_the_step_is_the_change(name, step):
    act = activation_function(name)
    a, b = POINTS, POINTS + step
    change = act.slope(b, a) * (b - a)
    torch.testing.assert_close(change, act.value(b) - act.value(a), atol=2e-14, rtol=1e-12)


def test_the_slope_of_equal_points_is_the_derivative():
    for name in NAMES:
        act = activation_function(name)
        torch.testing.assert_close(act.slope(POINTS, POINTS), act.derivative(POINTS))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UnknownArchitecture, match=r"softplus.*gelu_tanh"):
        activation_function("softplus")
