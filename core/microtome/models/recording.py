"""One short run of an unknown model, with what every module was given and what it made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from microtome.models import attention


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module: its first tensor, the tensor it made, and when it ended."""

    given: Tensor
    made: Tensor
    turn: int


@dataclass(slots=True, eq=False)
class Recording:
    """What happened in one run over one short prompt; vectors at all positions only."""

    config: Any
    names: Mapping[str, nn.Module]
    n_positions: int
    logits: Tensor = field(default_factory=lambda: torch.zeros(0))
    calls: dict[str, list[Call]] = field(default_factory=dict)
    # Path of a module that called our attention function -> shape of each of its values.
    attended: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    attended_twice: bool = False

    def holds(self, path: str) -> bool:
        """Whether a module was called exactly once, with vectors and to vectors."""
        return len(self.calls.get(path, ())) == 1 and self.of(path).given.shape[:2] == (
            1,
            self.n_positions,
        )

    def of(self, path: str) -> Call:
        """The call of a module that was called once."""
        (call,) = self.calls[path]
        return call

    def given(self, path: str) -> Tensor:
        """What a module was given, without the axis of the batch."""
        return self.of(path).given[0]

    def makes(self, path: str, width: int) -> bool:
        """Whether a module made one vector of this width at each position, once."""
        return [tuple(call.made.shape) for call in self.calls.get(path, ())] == [
            (1, self.n_positions, width)
        ]

    def reads(self, path: str, width: int) -> bool:
        """Whether a module read one vector of this width at each position, once."""
        return [tuple(call.given.shape) for call in self.calls.get(path, ())] == [
            (1, self.n_positions, width)
        ]

    def path_of(self, module: object) -> str | None:
        """Where a module lies."""
        return next((path for path, part in self.names.items() if part is module), None)

    def between(self, given: Tensor, made: Tensor) -> str | None:
        """The module that made one tensor of another."""
        for path, calls in self.calls.items():
            for call in calls:
                if _same(call.given, given) and _same(call.made, made):
                    return path
        return None


def _same(found: Tensor, wanted: Tensor) -> bool:
    return found.shape[1:] == wanted.shape[-2:] and torch.equal(found[0], wanted)


@torch.inference_mode()
def record(module: nn.Module, ids: Tensor) -> Recording:
    """Run a model once with a hook on every module; all of them are gone afterwards."""
    config: Any = module.config
    held = Recording(config, dict(module.named_modules()), ids.shape[1])
    with ExitStack() as stack:
        for path, part in held.names.items():
            hook = partial(_note, held, path)
            stack.callback(part.register_forward_hook(hook, with_kwargs=True).remove)
        taps = {part: partial(_note_attention, held, path) for path, part in held.names.items()}
        stack.enter_context(attention.tapped(taps))
        held.logits = module(input_ids=ids, use_cache=False).logits[0]
    return held


def _note(
    held: Recording, path: str, _module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any
) -> None:
    given = args[0] if args else kwargs.get("hidden_states")
    made = output[0] if isinstance(output, tuple) and output else output
    if not (isinstance(given, Tensor) and isinstance(made, Tensor)):
        held.calls.setdefault(path, [])
        return
    turn = sum(map(len, held.calls.values()))
    # Copied: a module may go on to write into what it was given.
    held.calls.setdefault(path, []).append(Call(given.clone(), made.clone(), turn))


def _note_attention(held: Recording, path: str, name: str, values: Tensor) -> Tensor:
    shapes = held.attended.setdefault(path, {})
    held.attended_twice |= name in shapes
    shapes[name] = tuple(values.shape)
    return values
