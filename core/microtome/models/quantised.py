"""Quantised weights, multiplied out: what is computed is what the stored numbers stand for.

Three published formats are read from their safetensors files, with nothing to install; the model
then runs as any other, in the number format that was asked for. Activations are never quantised.
All other formats are refused by name before any weight is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from safetensors.torch import load_file
from torch import Tensor

from microtome.errors import ModelDamaged, QuantisedModel
from microtome.models.weights import WeightFile

# The tensors that stand for one matrix: what follows its name -> the tensor.
Parts = Mapping[str, Tensor]
_SCALES = ("SCB", "weight_scale", "weight_scale_inv", "weight_packed", "weight.absmax")
_OF_ACTIVATIONS = ("input_scale", "output_scale", "activation_scale", "k_scale", "v_scale")
_EIGHT_BITS = {torch.int8, torch.float8_e4m3fn, torch.float8_e5m2}


@dataclass(frozen=True, slots=True)
class Quantised:
    """How the weights of one model are stored."""

    method: str  # in words
    restore: Callable[[Parts, Mapping[str, Any]], Float[Tensor, "out in"]]
    settings: Mapping[str, Any]  # of config.json's quantization_config
    most: int = 1  # numbers that one stored number can hold

    def state(self, files: tuple[WeightFile, ...], dtype: torch.dtype) -> dict[str, Tensor]:
        """All weights in plain form, one file after another.

        Raises ModelDamaged for a matrix whose parts do not fit together.
        """
        return {
            name: tensor for file in files for name, tensor in self._of(file.path, dtype).items()
        }

    def _of(self, path: Path, dtype: torch.dtype) -> dict[str, Tensor]:
        stored = load_file(path)
        found: dict[str, Tensor] = {}
        grouped = _grouped(stored)
        for stem, parts in grouped.items():
            try:
                found[f"{stem}.weight"] = self.restore(parts, self.settings).to(dtype)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise ModelDamaged(
                    f"The quantised weights of {stem} do not fit together ({error}).",
                    "Download the model again.",
                ) from error
        used = {f"{stem}.{part}" for stem, parts in grouped.items() for part in parts}
        plain = {
            name: tensor
            for name, tensor in stored.items()
            if name not in used and not name.endswith(_OF_ACTIVATIONS)
        }
        return {**plain, **found}


def _grouped(stored: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Names of matrices that are quantised -> their parts."""
    stems = {
        name.removesuffix(f".{scale}")
        for name in stored
        for scale in _SCALES
        if name.endswith(f".{scale}")
    }
    return {
        stem: {
            name.removeprefix(f"{stem}."): tensor
            for name, tensor in stored.items()
            if name.startswith((f"{stem}.weight", f"{stem}.SCB"))
        }
        for stem in sorted(stems)
    }


# ---------------------------------------------------------------------- formats


def _scaled(weight: Shaped[Tensor, "out in"], scale: Tensor, block: tuple[int, int]) -> Tensor:
    """Each block of a matrix times its scale."""
    if weight.dtype not in _EIGHT_BITS and weight.dtype != torch.int32:
        raise ValueError(f"stored as {weight.dtype}")
    spread = scale.float().repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return weight.float() * spread[: weight.shape[0], : weight.shape[1]]


def _fp8(parts: Parts, settings: Mapping[str, Any]) -> Float[Tensor, "out in"]:
    """Eight-bit floats, a scale for each block of rows and columns, or one for all."""
    weight, scale = parts["weight"], parts["weight_scale_inv"]
    block = settings.get("weight_block_size") or tuple(weight.shape)
    return _scaled(weight, scale.reshape(scale.shape if scale.dim() == 2 else (1, 1)), tuple(block))


def _compressed(parts: Parts, settings: Mapping[str, Any]) -> Float[Tensor, "out in"]:
    """Whole numbers or eight-bit floats; a scale for the matrix, a row, or a group of a row."""
    weight = parts["weight"] if "weight" in parts else _unpacked(parts, settings)
    scale = parts["weight_scale"]
    scale = scale.reshape(1, 1) if scale.numel() == 1 else scale.reshape(len(scale), -1)
    rows, columns = (-(-weight.shape[axis] // scale.shape[axis]) for axis in (0, 1))
    return _scaled(weight, scale, (rows, columns))


def _unpacked(parts: Parts, settings: Mapping[str, Any]) -> Tensor:
    """Whole numbers that lie next to each other in words of 32 bits, from the lowest bits on."""
    (group,) = settings["config_groups"].values()
    bits = int(group["weights"]["num_bits"])
    rows, columns = parts["weight_shape"].tolist()
    words = parts["weight_packed"].long() & 0xFFFFFFFF
    shifts = torch.arange(0, 32 - bits + 1, bits)
    values = (words[..., None] >> shifts) & (2**bits - 1)
    whole: Tensor = values.flatten(1)[:rows, :columns] - 2 ** (bits - 1)
    return whole.int()


def _bitsandbytes(parts: Parts, settings: Mapping[str, Any]) -> Float[Tensor, "out in"]:
    """Eight bits with a scale a row, or four bits that look values up, with a scale a block."""
    del settings
    if "SCB" in parts:
        return _scaled(parts["weight"], parts["SCB"][:, None] / 127, (1, parts["weight"].shape[1]))
    state = next(tensor for name, tensor in parts.items() if "quant_state" in name)
    about = json.loads(bytes(state.tolist()))
    scales = parts["weight.absmax"].float()
    if "nested_blocksize" in about:
        outer = parts["weight.nested_absmax"].repeat_interleave(about["nested_blocksize"])
        inner = parts["weight.nested_quant_map"][parts["weight.absmax"].long()]
        scales = inner * outer[: len(inner)] + about["nested_offset"]
    packed = parts["weight"].flatten()
    indices = torch.stack([packed >> 4, packed & 15], 1).flatten().long()
    spread = scales.repeat_interleave(about["blocksize"])
    return (parts["weight.quant_map"][indices] * spread[: len(indices)]).reshape(about["shape"])


# ---------------------------------------------------------------------- which is which

_KNOWN = {
    "fp8": ("fine-grained fp8", _fp8, 1),
    "bitsandbytes": ("bitsandbytes", _bitsandbytes, 2),
    "compressed-tensors": ("compressed-tensors", _compressed, 16),
}
# What transformers itself would need for the others.
_NEEDS = {
    "awq": "gptqmodel and accelerate",
    "gptq": "gptqmodel and optimum",
    "hqq": "hqq",
    "mxfp4": "accelerate and kernels",
    "quanto": "optimum-quanto",
    "torchao": "torchao",
}
_WAY_OUT = (
    "Open a copy that is not quantised, or one quantised by fine-grained fp8, bitsandbytes or "
    "compressed-tensors."
)


def quantised(settings: Mapping[str, Any], name: str) -> Quantised | None:
    """How the weights of a model are quantised, None when they are not.

    Raises QuantisedModel for a format that cannot be read, with what it would need.
    """
    held = settings.get("quantization_config")
    if held is None:
        return None
    method = str(held.get("quant_method", "")) if isinstance(held, dict) else ""
    if method not in _KNOWN:
        needs = _NEEDS.get(method, "a graphics card or packages of its own")
        raise QuantisedModel(
            f"The weights of {name} are quantised by {method or 'an unnamed method'}; "
            f"transformers reads them with {needs}, which Microtome does without.",
            _WAY_OUT,
        )
    if method == "compressed-tensors":
        _refuse_layouts(held, name)
    title, restore, most = _KNOWN[method]
    return Quantised(title, restore, held, most)


def _refuse_layouts(settings: Mapping[str, Any], name: str) -> None:
    """Raise QuantisedModel for what compressed-tensors can do beyond scales."""
    groups = settings.get("config_groups") or {}
    layouts = {str(settings.get("format"))}
    layouts |= {str(group.get("format", settings.get("format"))) for group in groups.values()}
    known = {"naive-quantized", "int-quantized", "float-quantized", "pack-quantized"}
    odd = sorted(layouts - known)
    if odd or len(groups) != 1:
        what = f"the layout {odd[0]}" if odd else f"{len(groups)} groups of settings"
    elif not all((group.get("weights") or {}).get("symmetric", True) for group in groups.values()):
        what = "zero points"
    elif settings.get("transform_config"):
        what = "rotations of its weights"
    else:
        return
    raise QuantisedModel(
        f"The weights of {name} are quantised by compressed-tensors with {what}, "
        "which cannot be multiplied out here.",
        _WAY_OUT,
    )
