"""What tells one question of a sweep from another: its prompts, its metric, a user's function."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

from microtome.metrics import Metric, reads_everywhere
from microtome.models.model import Model
from microtome.models.tokens import Tokens


def ids_of(tokens: Tokens) -> list[list[int]]:
    """The token ids of a prompt, and those that an encoder reads beside it."""
    read = (tokens,) if tokens.source is None else (tokens, tokens.source)
    return [part.ids.tolist() for part in read]


def metric_told(metric: Metric, model: Model) -> str:
    """What a metric asks; names may be those of several tokens."""
    tokens = [getattr(metric, name, None) for name in ("answer", "wrong")]
    where = "everywhere" if reads_everywhere(metric) else metric.position
    function = getattr(metric, "function", None)
    return f"{metric.name(model)} {tokens} at {where} {'' if function is None else told(function)}"


def told(function: Callable[..., Any]) -> str:
    """What a user's function does, as far as it can be told.

    The same function has the same text in a later run of the program. What it is bound to, its
    defaults, what it closes over, and what it reads of its module count: functions there by what
    they do themselves, everything else by how it prints. Code of other packages counts by name.
    """
    return _told(function, ())


def _told(function: Callable[..., Any], within: tuple[Any, ...]) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    given = [getattr(function, name, None) for name in ("__self__", "__defaults__")]
    given.append(getattr(function, "__kwdefaults__", None))
    read = getattr(function, "__globals__", {})
    root = str(read.get("__name__", "")).split(".")[0]
    within = (*within, function)
    named = [f"{name}={_value(read[name], within, root)}" for name in _names(code) if name in read]
    return f"{_code(code)} {[_value(part, within, root) for part in (*held, *given)]} {named}"


def _names(code: CodeType) -> list[str]:
    """The names that a function may read of its module, those of inner functions too."""
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return sorted({*code.co_names, *(name for part in inner for name in _names(part))})


def _code(code: CodeType) -> str:
    # A code object prints the place in memory where it lies.
    consts = [_code(part) if isinstance(part, CodeType) else part for part in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def _value(value: Any, within: tuple[Any, ...], root: str) -> str:
    """Functions of the same package by what they do; modules and the rest by name."""
    if isinstance(value, ModuleType):
        return value.__name__
    if not hasattr(value, "__code__"):
        return repr(value)
    own = str(getattr(value, "__module__", "")).split(".")[0] == root
    if not own or value in within:
        return str(getattr(value, "__qualname__", value.__code__.co_name))
    return _told(value, within)
