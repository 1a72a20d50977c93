"""Tensors and arrays of pickles as NumPy arrays, without torch: plain number types only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import PickleError, UnsafePickle
from microtome.pickles.records import Record, Unfinished, as_key

Construct = Callable[[tuple[Any, ...]], Any]

_AGAIN = "Ask for the file in a format without pickles, or export it again with its own tool."

# Storage classes of torch and how their bytes lie; bfloat16 is the upper half of a float32.
STORAGES: Mapping[str, str] = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1",
    "ByteStorage": "<u1", "BoolStorage": "?",
}  # fmt: skip
BFLOAT16 = "BFloat16Storage"

_NUMPY_TYPES = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A run of numbers in a torch file."""

    values: NDArray[Any]
    bfloat16: bool = False


def _tensor(given: tuple[Any, ...]) -> NDArray[Any]:
    """``torch._utils._rebuild_tensor_v2``: a view of a storage that must lie inside it."""
    storage, offset, size, stride = given[:4]
    sizes, strides = tuple(size), tuple(stride)
    numbers = (offset, *sizes, *strides)
    if not isinstance(storage, Storage) or not all(
        type(one) is int and one >= 0 for one in numbers
    ):
        raise PickleError("A tensor of the file has no plain shape.", _AGAIN)
    if len(sizes) != len(strides):
        raise PickleError(f"A tensor has {len(sizes)} axes and {len(strides)} strides.", _AGAIN)
    values, count = storage.values, math.prod(sizes)
    reach = sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if count and (offset + reach >= len(values) or count > len(values)):
        raise PickleError(
            f"A tensor of shape {sizes} does not lie in its {len(values):,} stored numbers.",
            "Copy the file again.",
        )
    if not count:
        return np.zeros(sizes, values.dtype)
    steps = tuple(step * values.itemsize for step in strides)
    view = np.lib.stride_tricks.as_strided(values[offset:], sizes, steps, writeable=False)
    if storage.bfloat16:
        return (view.astype(np.uint32) << 16).view(np.float32)
    return view


def _dtype(given: tuple[Any, ...]) -> Unfinished:
    if not given or str(given[0]) not in _NUMPY_TYPES:
        raise UnsafePickle(f"The pickle holds an array of the type {str(given[:1])[:40]}.", _AGAIN)
    return Unfinished("dtype", (str(given[0]),))


def _array(_given: tuple[Any, ...]) -> Unfinished:
    return Unfinished("ndarray")


def _scalar(given: tuple[Any, ...]) -> Any:
    kind, data = given
    if not isinstance(kind, np.dtype) or not isinstance(data, bytes):
        raise PickleError("The pickle holds a number that is none.", _AGAIN)
    return np.frombuffer(data, kind, 1)[0].item()


def ndarray_state(target: Unfinished, state: Any) -> Any:
    """The array or type that ``BUILD`` finishes."""
    if target.kind == "dtype":
        order = str(state[1])
        if order not in {"<", ">", "|", "="}:
            raise PickleError(f"A number type has the byte order {order[:8]!r}.", _AGAIN)
        return np.dtype(target.given[0]).newbyteorder("=" if order == "|" else order)
    _, shape, kind, fortran, data = state
    return _shaped(data, kind, shape, "F" if fortran else "C")


def _shaped(data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    sizes = tuple(shape)
    if not isinstance(kind, np.dtype) or not isinstance(data, bytes | bytearray):
        raise UnsafePickle("The pickle holds an array that is not of numbers.", _AGAIN)
    if not all(type(n) is int and n >= 0 for n in sizes):
        raise PickleError("An array of the file has no plain shape.", _AGAIN)
    values = np.frombuffer(data, kind)
    if math.prod(sizes) != len(values):
        raise PickleError(f"An array of shape {sizes} has {len(values):,} numbers.", _AGAIN)
    return values.reshape(sizes, order="F" if order == "F" else "C")


def _encoded(given: tuple[Any, ...]) -> bytes:
    """``_codecs.encode(text, 'latin1')``: how old protocols write bytes."""
    text, coding = given
    if coding != "latin1":
        raise UnsafePickle("The pickle encodes text in its own way.", _AGAIN)
    return str(text).encode("latin1")


def _set(given: tuple[Any, ...]) -> set[Any]:
    return {as_key(value) for value in (given[0] if given else ())}


def _ordered_dict(given: tuple[Any, ...]) -> dict[Any, Any]:
    """``OrderedDict()``, or ``OrderedDict([[key, value], …])``."""
    return {as_key(key): value for key, value in (given[0] if given else ())}


def _inert(kind: str, module: str = "torch") -> Construct:
    return lambda given: Record(kind, given, module=module)


_RECONSTRUCT = {
    (f"numpy.{core}.multiarray", name): make
    for core in ("core", "_core")
    for name, make in (("_reconstruct", _array), ("scalar", _scalar))
} | {
    (f"numpy.{core}.numeric", "_frombuffer"): lambda given: _shaped(*given)
    for core in ("core", "_core")
}
TENSOR_TYPES = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "bool")
# Module and name, and the plain value that stands for what they would make.
CONSTRUCTS: Mapping[tuple[str, str], Construct] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda given: given[0],
    ("torch", "Size"): lambda given: tuple(given[0]),
    ("torch", "device"): _inert("device"),
    **{("torch", name): _inert("storage type") for name in STORAGES},
    **{("torch", name): _inert("dtype") for name in TENSOR_TYPES},
    **_RECONSTRUCT,
    ("numpy", "ndarray"): _inert("ndarray type", "numpy"),
    ("numpy", "dtype"): _dtype,
    ("collections", "OrderedDict"): _ordered_dict,
    ("_codecs", "encode"): _encoded,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
    ("builtins", "slice"): _inert("slice", "builtins"),
    ("__builtin__", "slice"): _inert("slice", "builtins"),
}
