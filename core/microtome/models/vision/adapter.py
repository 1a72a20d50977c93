"""Any PyTorch module that reads images, through a small file that its user has written.

The file is Python code, the one thing that Microtome runs and did not bring: only on the explicit
word of whoever opens it. The weights come from safetensors, never from a pickle.

An adapter defines ``build()``, which gives the module, ``IMAGE`` (``channels``, ``size`` and, if
they are not 0 and 1, ``mean`` and ``std``), ``CLASSES`` (names in the order of the outputs), and
if only some modules are of interest ``LAYERS`` (our name of a layer: the module's path).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType, ModuleType, TracebackType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from microtome.errors import (
    MicrotomeError,
    ModelDamaged,
    ModelError,
    ModelNotFound,
    UnsafeModel,
    expect,
)
from microtome.images.preprocessing import Preprocessing
from microtome.jobs import Job, job_or_default
from microtome.models.devices import device_of, dtype_of
from microtome.models.load_errors import first_line
from microtome.models.model import Model
from microtome.models.outline import Outline
from microtome.models.vision.layouts import CHANNELS_FIRST, UNITS_LAST
from microtome.models.vision.patches import PatchLexicon
from microtome.models.vision.sight import Place, Sight, measured_layers
from microtome.models.weights import fingerprint_of_files, read_header
from microtome.records.model import ModelIdentity
from microtome.sites import SITES

_EXAMPLE = (
    "An adapter defines build(), IMAGE = {'channels': 3, 'size': (224, 224)} and "
    "CLASSES = ('cat', 'dog'); see docs/vision.md."
)
_NO_SITES = "a model of an adapter has layers of units instead; see the tabs See, Units and Lesions"
_LEFT_OUT = (nn.Identity, nn.Dropout, nn.Flatten)
_MOST_CODE = 1 << 20  # bytes of an adapter


def load_adapter(
    adapter: str | Path,
    weights: str | Path,
    *,
    allow_code: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
    job: Job | None = None,
) -> Model:
    """The model of an adapter, a file of Python code, and of a file of safetensors.

    The code runs with all rights of this program, so ``allow_code`` must say so.
    Raises UnsafeModel without that word and for weights in a pickle, ModelNotFound, ModelDamaged
    for weights that do not fit, ModelError for an adapter that raises or defines too little.
    """
    job = job_or_default(job)
    path, held = _existing(adapter, "adapter"), _existing(weights, "weights file")
    if allow_code is not True:
        raise UnsafeModel(
            f"{path} is Python code, which opening the model would run with all your rights.",
            "Read the file; if you trust it, allow it: allow_code=True.",
        )
    header = read_header(held)
    job.progress("Running the adapter", 0, 3)
    asked = _Adapter(path, *_run(path))
    module = asked.module().to(dtype_of(dtype))
    job.progress("Reading the weights", 1, 3)
    _fill(module, held)
    module = module.to(device_of(device)).eval().requires_grad_(requires_grad=False)
    job.progress("Recognising the model", 2, 3)
    sight = asked.sight(module)
    lexicon = PatchLexicon(sight.preprocessing, sight.shape, path.stem)
    identity = asked.identity(module, sight, fingerprint_of_files((header,), job))
    job.progress("Recognising the model", 3, 3)
    absent = MappingProxyType(dict.fromkeys((*SITES, "lens"), _NO_SITES))
    outline = Outline(
        model_type="adapter", class_name=type(module).__name__, absent=absent, labelled=True
    )
    return Model(module, outline, identity, None, None, (sight, lexicon))


def _existing(given: str | Path, what: str) -> Path:
    expect(given, (str, os.PathLike), what, "a file's path", "Write for example 'adapter.py'.")
    path = Path(given).expanduser()
    if not path.is_file():
        raise ModelNotFound(f"There is no {what} {given}.", "Choose the file.")
    return path.resolve()


def _run(path: Path) -> tuple[ModuleType, str]:
    """The module of an adapter's code, and the checksum of that code.

    What ran is what was summed: the file is read once.
    """
    if path.stat().st_size > _MOST_CODE:
        raise ModelError(f"{path.name} is no adapter: it has over 1 MB.", _EXAMPLE)
    source = path.read_bytes()
    spec = importlib.util.spec_from_loader(f"microtome_adapter_{path.stem}", loader=None)
    assert spec is not None  # noqa: S101
    found = importlib.util.module_from_spec(spec)
    found.__file__ = str(path)
    with _Raising(path, "could not be run"):
        exec(compile(source, str(path), "exec"), found.__dict__)  # noqa: S102  the user allowed it
    return found, hashlib.sha256(source).hexdigest()


@dataclass(frozen=True, slots=True)
class _Raising:
    """What a user's code raises inside becomes one error that names the file and the line."""

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
        if isinstance(error, MicrotomeError) or not isinstance(error, Exception):
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
class _Adapter:
    """What an adapter defines, looked at before it is used."""

    path: Path
    code: ModuleType
    checksum: str

    def module(self) -> nn.Module:
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
        return made

    def preprocessing(self) -> Preprocessing:
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
            layers = measured_layers(module, list(self._places(module, shape)), shape, _logits)
        classes = tuple(map(str, getattr(self.code, "CLASSES", ())))
        if classes and len(classes) != count:
            raise ModelError(
                f"{self.path.name} names {len(classes)} CLASSES, but the module has {count} "
                "outputs.",
                "Name each output, in order, or none.",
            )
        names = classes or tuple(f"output {number}" for number in range(count))
        title = type(module).__name__
        return Sight(module, title, layers, preprocessing, shape, names, bool(classes), _logits)

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

    def _places(self, module: nn.Module, shape: tuple[int, int, int]) -> Iterator[Place]:
        """The modules that units are read from: those of LAYERS, else all without parts."""
        shapes = _output_shapes(module, shape)
        named = getattr(self.code, "LAYERS", None) or {
            _name(path): path
            for path, inner in module.named_modules()
            if path and not any(inner.children()) and not isinstance(inner, _LEFT_OUT)
        }
        for name, path in named.items():
            if path not in shapes:
                raise ModelError(
                    f"LAYERS of {self.path.name} names {path!r}, which gives no units.",
                    f"Modules that do: {', '.join(shapes)}.",
                )
            last = len(shapes[path]) == 3
            kind = "dimension" if last or len(shapes[path]) == 2 else "channel"
            yield Place(str(name), path, kind, UNITS_LAST if last else CHANNELS_FIRST)

    def identity(self, module: nn.Module, sight: Sight, weights: str) -> ModelIdentity:
        """What a session remembers: the same weights under other code are another model."""
        weight = next(module.parameters())
        last = list(sight.layers.values())[-1]
        told = {
            "adapter": self.path.name, "adapter_sha256": self.checksum,
            "classes": list(sight.classes), "preprocessing": list(sight.preprocessing.lines()),
        }  # fmt: skip
        return ModelIdentity(
            name=self.path.stem, architecture="adapter",
            fingerprint=hashlib.sha256(f"{weights}{self.checksum}".encode()).hexdigest(),
            n_layers=0, n_heads=0, n_kv_heads=0, d_model=last.n_units, d_head=0, d_mlp=0,
            vocabulary=len(sight.classes), context=None,
            n_parameters=sum(parameter.numel() for parameter in module.parameters()),
            dtype=str(weight.dtype).removeprefix("torch."), device=str(weight.device),
            config_json=json.dumps(told, sort_keys=True),
            versions={name: version(name) for name in ("microtome", "torch")}, sees=True,
        )  # fmt: skip


def _fill(module: nn.Module, weights: Path) -> None:
    """Put the weights into the module.

    Raises ModelDamaged that names the first tensors which do not fit.
    """
    try:
        missing, unknown = module.load_state_dict(load_file(weights), strict=False)
    except (RuntimeError, SafetensorError, OSError) as error:
        raise ModelDamaged(
            f"The weights in {weights.name} do not fit the adapter's module: {first_line(error)}",
            "Choose the weights that were saved from this module.",
        ) from error
    for names, what in ((missing, "lack"), (unknown, "hold, beside those of the module,")):
        if names:
            raise ModelDamaged(
                f"The weights in {weights.name} {what} {len(names)} tensors, such as {names[0]}.",
                "Save them with safetensors.torch.save_file(module.state_dict(), ...).",
            )


def _logits(module: nn.Module, pixels: Tensor) -> Any:
    return module(pixels)


def _black(module: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    weight = next(module.parameters())
    return torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype)


def _name(path: str) -> str:
    """A layer's name as units have it: it begins with a letter."""
    return path if re.match(r"[A-Za-z_]", path) else f"module.{path}"


def _output_shapes(module: nn.Module, shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """The shapes that modules give for one image, of those whose units can be told apart."""
    found: dict[str, tuple[int, ...]] = {}
    handles = [
        inner.register_forward_hook(_Note(path, found)) for path, inner in module.named_modules()
    ]
    try:
        with torch.inference_mode():
            _logits(module, _black(module, shape))
    finally:
        for handle in handles:
            handle.remove()
    return {path: held for path, held in found.items() if path and len(held) in (2, 3, 4)}


@dataclass(frozen=True, slots=True)
class _Note:
    path: str
    found: dict[str, tuple[int, ...]]

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            self.found[self.path] = tuple(output.shape)
