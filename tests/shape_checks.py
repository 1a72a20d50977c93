"""The shape checks of the tests, at less than half their price.

jaxtyping's own decorator checks the arguments of a call twice and binds them in Python first, to
word its complaint better. Checked once, by beartype around the call, the same hints find the same
mistakes; and a function whose hints name no array needs no memory of axes at all.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import jaxtyping

_AXES = jaxtyping.jaxtyped("context")  # a memory of the sizes of axes, for one call
_thorough = jaxtyping.jaxtyped


def cheaper() -> None:
    """Let what the plug-in of jaxtyping decorates from now on be checked this way."""
    jaxtyping.jaxtyped = decorator


def decorator(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What stands in the place of ``jaxtyping.jaxtyped(typechecker=...)``."""
    return functools.partial(_checked, typechecker)


def _checked(typechecker: Callable[[Any], Any], one: Any) -> Any:
    if inspect.isclass(one):
        if dataclasses.is_dataclass(one) and "__init__" in vars(one):
            one.__init__ = _checked(typechecker, one.__init__)
        return one
    if isinstance(one, classmethod | staticmethod):
        return type(one)(_checked(typechecker, one.__func__))
    if not inspect.isfunction(one) or inspect.isgeneratorfunction(one):
        return _thorough(one, typechecker=typechecker)
    one.__annotations__ = {
        name: _resolved(hint, one.__globals__) for name, hint in one.__annotations__.items()
    }
    checked = typechecker(one)
    names_arrays = any(map(_names_an_array, one.__annotations__.values()))
    return _with_axes(checked) if names_arrays else checked


def _with_axes(checked: Callable[..., Any]) -> Callable[..., Any]:
    """A call during which an axis has one size wherever it is named."""

    @functools.wraps(checked)
    def call(*given: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        with _AXES:
            return checked(*given, **named)

    return call


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    """A hint out of quotes; anything at all where a name in it is only known to type checkers."""

    def carrier() -> None: ...

    carrier.__annotations__ = {"hint": hint}
    try:
        return get_type_hints(carrier, names, include_extras=True)["hint"]
    except Exception:  # noqa: BLE001  whatever the text of a hint may raise
        return Any


def _names_an_array(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_an_array, get_args(hint)))
