"""Taps on a running model: read or replace the values at any site, and always let go.

A tap is called with a site's values, batch first, and returns what the model goes on with. All
hooks hang on one exit stack: whatever happens inside, a model is left as it was found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from microtome.errors import SiteMissing
from microtome.models import attention
from microtome.models.family import part
from microtome.models.model import Model
from microtome.models.ports import Port
from microtome.sites import SITES, Site

Tap = Callable[[Tensor], Tensor]


def layers_of(model: Model, site: Site) -> tuple[int | None, ...]:
    """The layers that a site means: its own, all when it names none, none for a single site.

    Raises SiteMissing when the model has no such site or layer.
    """
    name, identity = model.identity.name, model.identity
    if site.name not in model.ports:
        raise SiteMissing(
            f"{name} has no site {site.name} ({site.kind.title}).",
            f"It has {', '.join(model.ports)}.",
        )
    if not site.kind.per_layer:
        return (None,)
    count = identity.n_encoder_layers if site.kind.in_encoder else identity.n_layers
    if site.layer is None:
        return tuple(range(count))
    if not 0 <= site.layer < count:
        raise SiteMissing(f"{name} has no layer {site.layer}.", f"Its layers are 0 to {count - 1}.")
    return (site.layer,)


def expect_head(model: Model, site: Site) -> None:
    """Raise SiteMissing for a site of a head that the model does not have."""
    identity = model.identity
    count = identity.n_kv_heads if "kv_head" in site.kind.axes else identity.n_heads
    if site.head is not None and not 0 <= site.head < count:
        raise SiteMissing(
            f"The site {site.name} of {identity.name} has no head {site.head}.",
            f"Its heads are 0 to {count - 1}.",
        )


@contextmanager
def tapping(
    model: Model,
    taps: Mapping[Site, Sequence[Tap]],
    checkpoint: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Within the context the model runs through the taps of each site, one after another.

    A site that exists once a layer must name one; heads are for the taps.
    ``checkpoint`` is called before every module and may raise.
    Raises SiteMissing when the model has no such site.
    """
    with ExitStack() as stack:
        if checkpoint is not None:
            _hang_checkpoints(model.module, checkpoint, stack)
        _hang(model, taps, stack)
        yield


class SeenError(Exception):
    """Raised by a tap when all that was wanted has been seen: the rest of a pass is not needed."""


@contextmanager
def until_seen(
    model: Model,
    taps: Mapping[Site, Sequence[Tap]],
    checkpoint: Callable[[], None] | None = None,
) -> Iterator[None]:
    """As ``tapping``, but a tap ends the pass, and the context, by raising SeenError."""
    with suppress(SeenError), tapping(model, taps, checkpoint):
        yield


# Hooks and taps are methods and partial functions, not closures: the type checker of the tests
# compiles a function each time it is defined.


def _hang_checkpoints(module: nn.Module, checkpoint: Callable[[], None], stack: ExitStack) -> None:
    hook = partial(_at_checkpoint, checkpoint)
    for inner in module.modules():
        stack.callback(inner.register_forward_pre_hook(hook).remove)


def _at_checkpoint(checkpoint: Callable[[], None], _module: nn.Module, _args: Any) -> None:
    checkpoint()


def _hang(model: Model, taps: Mapping[Site, Sequence[Tap]], stack: ExitStack) -> None:
    within: dict[nn.Module, dict[str, Sequence[Tap]]] = defaultdict(dict)
    # In the order of the table, so that of two sites of one module the earlier is served first.
    for site, chain in sorted(taps.items(), key=_turn):
        layers_of(model, site)
        port = model.ports[site.name]
        module = _module(model, port, site.layer)
        if port.when == "within":
            within[module][port.step or site.name] = chain
            continue
        use = _Use(port, chain)
        if port.flat:
            block = _module(model, replace(port, path=""), site.layer)
            hook = block.register_forward_pre_hook(use.note_batch, with_kwargs=True)
            stack.callback(hook.remove)
        if port.when == "before":
            hook = module.register_forward_pre_hook(use.on_input, with_kwargs=True)
        else:
            hook = module.register_forward_hook(use.on_output, with_kwargs=True)
        stack.callback(hook.remove)
    if within:
        named = {module: partial(_within, chains) for module, chains in within.items()}
        stack.enter_context(attention.tapped(named))


def _turn(item: tuple[Site, Sequence[Tap]]) -> tuple[int, bool]:
    """When a site's turn is: a norm's scale comes before what is divided by it."""
    name = item[0].name
    own = name.removesuffix("_scale")
    return list(SITES).index(own), own == name


def _module(model: Model, port: Port, layer: int | None) -> nn.Module:
    root = model.module
    if layer is not None:
        root = part(root, port.blocks or model.family.blocks, model.family.title)[layer]
    found: nn.Module = part(root, port.path, model.family.title) if port.path else root
    return found


def _within(chains: Mapping[str, Sequence[Tap]], name: str, values: Tensor) -> Tensor:
    for tap in chains.get(name, ()):
        values = tap(values)
    return values


@dataclass(slots=True)
class _Use:
    """One port in use: the hooks that pass its values through taps."""

    port: Port
    taps: Sequence[Tap]
    batch: int = 1  # of the pass that is running; only flat modules do not show it

    def note_batch(self, _module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        """Remember how many prompts the block was given."""
        self.batch = _first(args, kwargs).shape[0]

    def on_input(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        """A pre-hook that replaces a module's input."""
        given = args[0] if args else kwargs["hidden_states"]
        new = self._through(module, given, given)
        if new is None:
            return None
        if args:
            return (new, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": new}

    def on_output(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        """A hook that replaces a module's output."""
        part_of = isinstance(output, tuple) and not self.port.whole
        new = self._through(module, _first(args, kwargs), output[0] if part_of else output)
        if new is None:
            return None
        return (new, *output[1:]) if part_of else new

    def _through(self, module: nn.Module, given: Tensor, made: Any) -> Any:
        """What replaces the input or output; None when no tap changed anything."""
        values = self.port.read(module, given, made)
        before = values = values.unflatten(0, (self.batch, -1)) if self.port.flat else values
        for tap in self.taps:
            values = tap(values)
        if values is before:
            return None
        return self.port.write(
            module, given, made, values.flatten(0, 1) if self.port.flat else values
        )


def _first(args: Any, kwargs: dict[str, Any]) -> Tensor:
    given: Tensor = args[0] if args else next(iter(kwargs.values()))
    return given
