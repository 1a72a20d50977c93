"""What an adapter's file of Python code defines: run, looked at, and made a model's sight.

Everything here runs code that the user allowed; whatever it raises becomes one readable error.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from microtome.errors import Cancelled, MicrotomeError, ModelError
from microtome.images.preprocessing import Preprocessing
from microtome.jobs import USERS_CODE
from microtome.models.identity import identity_of
from microtome.models.load_errors import first_line
from microtome.models.vision.layouts import CHANNELS_FIRST, UNITS_LAST
from microtome.models.vision.loading import unit_shape
from microtome.models.vision.sight import Place, Sight, measured_layers
from microtome.records.model import ModelIdentity
from microtome.records.units import is_layer_name

_EXAMPLE = (
    "An adapter defines build(), IMAGE = {'channels': 3, 'size': (224, 224)} and "
    "CLASSES = ('cat', 'dog'); see docs/vision.md."
)
_LEFT_OUT = (nn.Identity, nn.Dropout, nn.Flatten)
_NOT_ITS_OWN = (MicrotomeError, Cancelled, KeyboardInterrupt)  # what others raise inside it
_MOST_CODE = 1 << 20  # bytes of an adapter


def run_code(path: Path) -> tuple[ModuleType, str]:
    """The module of an adapter's code, and the checksum of that code.

    What ran is what was summed: the file is read once.
    """
    if path.stat().st_size > _MOST_CODE:
        raise ModelError(f"{path.name} is no adapter: it has over 1 MB.", _EXAMPLE)
    source = path.read_bytes()
    spec = importlib.util.spec_from_loader(f"{USERS_CODE}{path.stem}", loader=None)
    assert spec is not None  # noqa: S101
    found = importlib.util.module_from_spec(spec)
    found.__file__ = str(path)
    with _Raising(path, "could not be run"):
        exec(compile(source, str(path), "exec"), found.__dict__)  # noqa: S102  the user allowed it
    return found, hashlib.sha256(source).hexdigest()


@dataclass(frozen=True, slots=True)
class _Raising:
    """What a user's code raises inside becomes one error that names the file and the line.

    So does its wish to end the program (``sys.exit``).
    """

    path: Path
    what: str

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, _NOT_ITS_OWN):
            return
        while trace is not None and trace.tb_frame.f_code.co_filename != str(self.path):
            trace = trace.tb_next
        line = getattr(error, "lineno", None) if trace is None else trace.tb_lineno
        where = "" if line is None else f" in line {line}"
        raise ModelError(
            f"The adapter {self.path.name} {self.what}: {type(error).__name__}{where}: "
            f"{first_line(error)}",
            "Mend the adapter and open it again.",
        ) from error


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter defines, looked at before it is used."""

    path: Path
    code: ModuleType
    checksum: str

    def module(self) -> nn.Module:
        """What build() gives. Raises ModelError for anything but a module with parameters."""
        build = getattr(self.code, "build", None)
        if not callable(build):
            raise ModelError(f"The adapter {self.path.name} defines no build().", _EXAMPLE)
        with _Raising(self.path, "could not build its module"):
            made = build()
        if not isinstance(made, nn.Module):
            raise ModelError(
                f"build() of {self.path.name} gave a {type(made).__name__}, but a torch.nn.Module "
                "was expected.",
                _EXAMPLE,
            )
        if next(made.parameters(), None) is None:
            raise ModelError(
                f"The module of {self.path.name} has no parameters, so that there is nothing to "
                "look at.",
                "Let build() give a module with weights.",
            )
        return made

    def preprocessing(self) -> Preprocessing:
        """What IMAGE says. Raises ModelError."""
        held = getattr(self.code, "IMAGE", None)
        if not isinstance(held, Mapping):
            raise ModelError(f"The adapter {self.path.name} defines no IMAGE.", _EXAMPLE)
        with _Raising(self.path, "has an IMAGE that cannot be used"):
            channels, (height, width) = int(held["channels"]), held["size"]
            mean, std = (
                tuple(map(float, held.get(name, (usual,) * channels)))
                for name, usual in (("mean", 0.0), ("std", 1.0))
            )
            size = (int(height), int(width))
        if channels not in (1, 3) or min(size) < 1 or {len(mean), len(std)} != {channels}:
            raise ModelError(
                f"IMAGE of {self.path.name} says {channels} channels, size {size}, "
                f"{len(mean)} means and {len(std)} deviations.",
                "Give 1 or 3 channels, a size above 0, and a number a channel.",
            )
        if not all(map(math.isfinite, mean + std)) or min(std) <= 0:
            raise ModelError(
                f"IMAGE of {self.path.name} says mean {mean} and std {std}.",
                "Give finite numbers, and deviations above 0.",
            )
        return Preprocessing(
            channels=channels, size=size, resample="bilinear", mean=mean, std=std,
            source=self.path.name,
        )  # fmt: skip

    def sight(self, module: nn.Module) -> Sight:
        """The sight of a module that has its weights."""
        preprocessing = self.preprocessing()
        shape = (preprocessing.channels, *(preprocessing.shape or (1, 1)))
        with _Raising(self.path, f"builds a module that cannot run on an image of {shape}"):
            count = self._outputs(module, shape)
            layers = measured_layers(module, self._places(module, shape), shape, _logits)
        names = self._classes(count)
        title = type(module).__name__
        return Sight(
            module, title, layers, preprocessing, shape,
            names or tuple(f"output {number}" for number in range(count)), bool(names), _logits,
        )  # fmt: skip

    def _classes(self, count: int) -> tuple[str, ...]:
        """The names of the outputs; none where the adapter gives none."""
        held = getattr(self.code, "CLASSES", None)
        if held is None:
            return ()
        if not isinstance(held, Sequence) or isinstance(held, str | bytes):
            raise ModelError(
                f"CLASSES of {self.path.name} is {held!r:.60}, but a list of names was expected.",
                "Name each output, in order, such as CLASSES = ('cat', 'dog'), or leave it out.",
            )
        names = tuple(map(str, held))
        if names and len(names) != count:
            raise ModelError(
                f"{self.path.name} names {len(names)} CLASSES, but the module has {count} outputs.",
                "Name each output, in order, or none.",
            )
        return names

    def _outputs(self, module: nn.Module, shape: tuple[int, int, int]) -> int:
        with torch.inference_mode():
            found = _logits(module, _black(module, shape))
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != 1:
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(
                f"The module of {self.path.name} gives {given} for one image, but logits "
                "[image, class] were expected.",
                "Let build() give a module that ends in logits.",
            )
        return int(found.shape[1])

    def _places(self, module: nn.Module, shape: tuple[int, int, int]) -> list[Place]:
        """The modules that units are read from: those of LAYERS, else all without parts."""
        runs = _one_run(module, shape)
        shapes = runs.units
        named = self._named()
        if not named:
            parts = {path for path, inner in module.named_modules() if _without_parts(inner)}
            named = _names([path for path in shapes if path in parts])
        if not named:
            raise ModelError(
                f"The module of {self.path.name} has no layer that units can be read from: no "
                "module inside it gives [image, unit], [image, position, unit] or [image, unit, "
                "row, column].",
                "Let build() give a module of modules, such as nn.Sequential(...).",
            )
        places = []
        for name, path in named.items():
            if path not in shapes:
                raise ModelError(
                    f"LAYERS of {self.path.name} names {path!r}, {runs.why_not(path)}.",
                    f"Modules that do: {', '.join(shapes) or 'none'}.",
                )
            last = len(shapes[path]) == 3
            kind = "dimension" if last or len(shapes[path]) == 2 else "channel"
            places.append(Place(name, path, kind, UNITS_LAST if last else CHANNELS_FIRST))
        return places

    def _named(self) -> dict[str, str]:
        """What LAYERS says, empty where there is none."""
        held = getattr(self.code, "LAYERS", None)
        if held is None:
            return {}
        if not isinstance(held, Mapping):
            raise ModelError(
                f"LAYERS of {self.path.name} is {held!r:.60}, but names with paths were expected.",
                "Write for example LAYERS = {'edges': '0'}.",
            )
        named = {str(name): str(path) for name, path in held.items()}
        for name in named:
            if not is_layer_name(name):
                raise ModelError(
                    f"LAYERS of {self.path.name} calls a layer {name!r}.",
                    "Begin with a letter, without blanks, commas, / and @: units are written "
                    "edges/3.",
                )
        return named

    def identity(self, module: nn.Module, sight: Sight, weights: str, named: str) -> ModelIdentity:
        """What a session remembers: the same weights under other code are another model."""
        told = {
            "adapter": self.path.name, "adapter_sha256": self.checksum, "weights": named,
            "classes": list(sight.classes), "preprocessing": list(sight.preprocessing.lines()),
        }  # fmt: skip
        mark = hashlib.sha256(f"{weights}{self.checksum}".encode()).hexdigest()
        return identity_of(
            self.path.stem, module, unit_shape(sight), told,
            architecture="adapter", fingerprint=mark, sees=True,
        )  # fmt: skip


def _logits(module: nn.Module, pixels: Tensor) -> Any:
    return module(pixels)


def _black(module: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    weight = next(module.parameters())
    return torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype)


def _without_parts(module: nn.Module) -> bool:
    return not any(module.children()) and not isinstance(module, _LEFT_OUT)


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Paths by the names that units have: they begin with a letter, and hold no separator."""
    found: dict[str, str] = {}
    for path in paths:
        name = re.sub(r"[\s/,@]", "_", path)
        if not is_layer_name(name):
            name = f"module.{name}"
        while name in found:
            name += "_"
        found[name] = path
    return found


@dataclass(slots=True)
class _Runs:
    """What each module gave for one image, in the order in which they ran."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def note(self, path: str, output: Any) -> None:
        self.times[path] = self.times.get(path, 0) + 1
        if isinstance(output, Tensor) and output.is_floating_point():
            self.shapes[path] = tuple(output.shape)

    @property
    def units(self) -> dict[str, tuple[int, ...]]:
        """The shapes of those whose units can be told apart: of one image, and in one place."""
        return {
            path: shape for path, shape in self.shapes.items()
            if len(shape) in (2, 3, 4) and shape[0] == 1 and self.times[path] == 1
        }  # fmt: skip

    def why_not(self, path: str) -> str:
        """Why a module gives no units."""
        times = self.times.get(path, 0)
        if times > 1:
            return f"which runs {times} times for one image, so that a unit of it is in many places"
        return "which gives no units"


def _one_run(module: nn.Module, shape: tuple[int, int, int]) -> _Runs:
    found = _Runs()
    handles = [
        inner.register_forward_hook(_Note(path, found))
        for path, inner in module.named_modules() if path
    ]  # fmt: skip
    try:
        with torch.inference_mode():
            _logits(module, _black(module, shape))
    finally:
        for handle in handles:
            handle.remove()
    return found


@dataclass(frozen=True, slots=True)
class _Note:
    path: str
    found: _Runs

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        self.found.note(self.path, output)
