"""What tells one question of a sweep from another: its prompts, its metric, a user's function."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
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
    defaults and what it closes over count; what it reads of its module does not.
    """
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    given = [getattr(function, name, None) for name in ("__self__", "__defaults__")]
    given.append(getattr(function, "__kwdefaults__", None))
    return f"{_code(code)} {[_value(part) for part in (*held, *given)]}"


def _code(code: CodeType) -> str:
    # A code object prints the place in memory where it lies.
    consts = [_code(part) if isinstance(part, CodeType) else part for part in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def _value(value: Any) -> str:
    return told(value) if hasattr(value, "__code__") else repr(value)
