"""Errors of full memory: how each library words them, and what their frames held."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from microtome.errors import InputError, MemoryExceeded
from microtome.full_memory import (
    bytes_asked,
    free_frames,
    memory_exceeded,
    memory_ran_out,
    telling_of_memory,
)

HUGE = 2**60


def raised(act):
    """The error that something raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        act()
    return caught.value


@pytest.mark.parametrize(
    ("act", "asked"),
    [
        (lambda: torch.empty(HUGE, dtype=torch.uint8), HUGE),
        (lambda: np.empty((HUGE // 8, 3)), 3 * HUGE),
        (lambda: bytearray(2**62), None),
    ],
)
def test_the_libraries_errors_are_known_and_tell_how_much(act, asked):
    error = raised(act)
    assert memory_ran_out(error)
    assert bytes_asked(error) == asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has", 2.5 * 2**30),
        ("MPS backend out of memory (MPS allocated: 1 GB). Tried to allocate 1,024.00 KB", 2**20),
        ("[enforce fail] can't allocate memory: you tried to allocate 96 bytes.", 96),
    ],
)
def test_devices_that_are_not_here_are_understood(text, asked):
    error = RuntimeError(text)
    assert memory_ran_out(error)
    assert bytes_asked(error) == asked


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), InputError("out of memory"), KeyError("memory")]
)
def test_other_errors_are_no_such(error):
    assert not memory_ran_out(error)
    with pytest.raises(type(error)), telling_of_memory("No", "none"):
        raise error


class Held:
    """Something that can be watched as it goes."""


def hold_and_fail(seen, error):
    held = Held()
    seen.append(weakref.ref(held))
    raise error


def test_what_failed_lets_go_of_everything_while_its_error_is_kept():
    seen = []
    gc.disable()
    try:
        with pytest.raises(MemoryExceeded) as caught, telling_of_memory("Full", "lower"):
            hold_and_fail(seen, MemoryError())
        assert seen[0]() is None
        assert isinstance(caught.value.__cause__, MemoryError)
        plain = raised(lambda: hold_and_fail(seen, ValueError()))
        assert seen[1]() is not None  # its frame keeps it
        free_frames(plain)
        assert seen[1]() is None
    finally:
        gc.enable()


def test_it_says_what_was_asked_for_else_what_all_of_it_takes():
    told = memory_exceeded("It is full", "Less.", RuntimeError("tried to allocate 5000000 bytes"))
    assert str(told) == "It is full: 5.0 MB more were needed at one place. Less."
    told = memory_exceeded("It is full", "Less.", MemoryError(), lambda: 7_000_000)
    assert told.what == "It is full, which takes about 7.0 MB."
    assert memory_exceeded("It is full", "Less.", MemoryError()).what == "It is full."
