"""Runs that go on from a layer whose input is known: the blocks below are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from microtome.models.family import part
from microtome.models.model import Model


class Forms:
    """What a model's blocks give beside the stream, as seen in a run: to be given again."""

    def __init__(self, model: Model) -> None:
        held = part(model.module, model.family.blocks, model.family.title)
        self._blocks: list[nn.Module] = list(held)
        self._more: int | None = None  # values beside the stream, -1 for it alone; None: not seen

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within the context a whole run tells what blocks give."""
        hook = self._blocks[0].register_forward_hook(self._see)
        try:
            yield
        finally:
            hook.remove()

    def _see(self, _block: nn.Module, _args: Any, output: Any) -> None:
        self._more = len(output) - 1 if isinstance(output, tuple) else -1

    @property
    def known(self) -> bool:
        """Whether a run was seen, so that blocks can be passed over."""
        return self._more is not None

    @contextmanager
    def passed_over(self, count: int) -> Iterator[None]:
        """Within the context the first ``count`` blocks hand on what they are given.

        Whoever uses it puts the stream in place at the input of the next one.
        """
        with ExitStack() as stack:
            for block in self._blocks[:count]:
                block.forward = partial(_hand_on, self._more or 0)
                stack.callback(block.__dict__.pop, "forward")
            yield


def _hand_on(more: int, *args: Any, **given: Any) -> Any:
    stream: Tensor = args[0] if args else given["hidden_states"]
    return stream if more < 0 else (stream, *[None] * more)
