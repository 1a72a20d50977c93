"""Which values of a run are known to come from which layers, and how.

Steps are followed while the run is frozen (``rules.py``). ``edges.py`` finds all edges of a layer
from what is known; what the rules lack ends a way, and its edges are found by gradients, target by
target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from microtome.vision.calls import Call, live
from microtome.vision.edges import Way
from microtome.vision.known import Known, Pure, along, counts, numbered, ways_to
from microtome.vision.rules import ALONE, RULES, SUMS

_IN_PLACE = frozenset(("__setitem__", "__iadd__", "__imul__", "__isub__", "__itruediv__"))


class Ways:
    """Which tensors of a run are known."""

    def __init__(self) -> None:
        self._known: Any = WeakTensorKeyDictionary()

    def begin(self, values: Tensor, source: str, change: Tensor) -> Tensor:
        """The values, known from now on to be those of a layer.

        ``change`` is how much they are more than in the other run; of one image it is themselves.
        """
        self._known[values] = Known(numbered(values, 1), Pure(source, change))
        return values

    def of(self, made: Tensor) -> tuple[Way, ...] | None:
        """All ways to what was made [one, unit, place…]; None where a step was not known."""
        known: Known | None = self._known.get(made)
        if known is None or not counts(along(known.numbers, 1)):
            return None
        return ways_to(known, made)

    def before(self, func: Callable[..., Any], name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a step; where a way starts there, a view that only this step reads."""
        if _in_place(func) and name not in ALONE | {"relu"}:
            self._changed(name, args)
        if name in ALONE or name in SUMS or name in ("batch_norm", "mul"):
            return tuple(self._apart(each) for each in args)
        return args

    def after(self, name: str, call: Call, other: Call | None) -> None:
        """Follow a step that was done, and that the other run of a pair did as ``other``."""
        value = call.value
        if not live(value):
            return
        rule = RULES.get(name)
        found = None if rule is None else rule(self.get, call, other)
        if found is None:
            self._known.pop(value, None)  # changed in place by what is not known
        else:
            self._known[value] = found

    def get(self, value: Any) -> Known | None:
        """What is known of an argument."""
        found: Known | None = self._known.get(value) if isinstance(value, Tensor) else None
        return found

    def _changed(self, name: str, args: tuple[Any, ...]) -> None:
        """A step in place: what it changes may be seen through other names."""
        changed = args[0] if args else None
        kept = self.get(changed) if name in SUMS else None
        if kept is None or kept.ways is None or not isinstance(changed, Tensor):
            self._known.clear()
            return
        place = changed.untyped_storage().data_ptr()
        for each in list(self._known.keys()):
            if each is not changed and each.untyped_storage().data_ptr() == place:
                del self._known[each]

    def _apart(self, value: Any) -> Any:
        known = self.get(value)
        if known is None or known.pure is None:
            return value
        view = value.view_as(value)
        self._known[view] = known
        return view


def _in_place(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    if name == "requires_grad_":  # a word about the tensor, no change
        return False
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
