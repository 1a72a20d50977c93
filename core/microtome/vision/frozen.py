"""A run of any module frozen to an affine map: through one image, or through both of a pair.

The module itself runs, in PyTorch's own code; a mode around it replaces the steps of a table
(``steps.py``). Of a pair the other image runs first and its steps are noted. While the mode
records, each step gives its own value and a gradient that is the frozen map's; while it replays,
the frozen map alone acts on whatever flows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from microtome.errors import UnknownArchitecture
from microtome.jobs import Job, job_or_default
from microtome.vision.calls import Call, Map, Step, live, plain, step_name
from microtome.vision.steps import STEPS
from microtome.vision.ways import Ways


class _Doing(Enum):
    NOTE = "note"
    RECORD = "record"
    REPLAY = "replay"


class Checked(TorchFunctionMode):
    """Within the context every step of PyTorch is a checkpoint of a job."""

    def __init__(self, job: Job | None) -> None:
        super().__init__()
        self._job = job_or_default(job)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do one step, unless the job was cancelled."""
        del types
        self._job.check()
        return func(*args, **(kwargs or {}))


class Frozen(TorchFunctionMode):
    """Within the context steps are frozen: recorded in the first one, replayed in later ones.

    ``ways`` follows the first one. Every step is a checkpoint of ``job``.
    """

    def __init__(self, job: Job | None = None) -> None:
        super().__init__()
        self.job = job_or_default(job)
        self.ways = Ways()
        self._doing = _Doing.RECORD
        self._noted: list[Call] | None = None  # by the other run of a pair
        self._kept: list[Map] = []
        self._at = 0  # the step that is recorded or replayed next

    def note(self) -> Frozen:
        """The same object, ready for the other run of a pair; a recording follows."""
        self._doing, self._noted = _Doing.NOTE, []
        return self

    def record(self) -> Frozen:
        """The same object, ready to freeze a run."""
        self._doing, self._at = _Doing.RECORD, 0
        return self

    def replay(self) -> Frozen:
        """The same object, ready to run the frozen map."""
        self._doing, self._at = _Doing.REPLAY, 0
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do one step of PyTorch, as the table says or as ever."""
        del types
        self.job.check()
        name, given = step_name(func), dict(kwargs or {})
        step = STEPS.get(name)
        if self._doing is _Doing.RECORD:
            call = Call(func, self.ways.before(func, name, args), given)
            other = None if step is None else self._other(name)
            value = call.plain() if step is None else self._recorded(step, call, other)
            self.ways.after(name, replace(call, value=value), other)
            return value
        call = Call(func, args, given)
        if step is None:
            return call.plain()
        if self._doing is _Doing.NOTE:
            return self._note(call)
        self._at += 1
        return self._kept[self._at - 1](call)

    def _recorded(self, step: Step, call: Call, other: Call | None) -> Any:
        held = any(live(each) for each in (*call.args, *call.given.values()))
        self._kept.append(step(call, other) if held else plain)
        return self._kept[-1](call)

    def _note(self, call: Call) -> Any:
        """Do a step, and keep what it was given: later steps may change that in place."""
        assert self._noted is not None  # noqa: S101
        args = tuple(_copy(each) for each in call.args)
        given = {name: _copy(each) for name, each in call.given.items()}
        value = call.plain()
        self._noted.append(Call(call.func, args, given, _copy(value)))
        return value

    def _other(self, name: str) -> Call | None:
        """The same step of the other run; None where there is none.

        Raises UnknownArchitecture for a module that does other steps there.
        """
        if self._noted is None:
            return None
        at, self._at = self._at, self._at + 1
        if at < len(self._noted) and step_name(self._noted[at].func) == name:
            return self._noted[at]
        raise UnknownArchitecture(
            f"The model does other steps on the second image: {name} has no counterpart.",
            "Ask about one image.",
        )


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
