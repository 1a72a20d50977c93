"""The session format in one place: mark, version, limits, names, and how text and JSON are kept.

``docs/session-format.md`` describes the same for readers of the files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import SessionDamaged, StorageError

FORMAT = "microtome-session"
MAJOR, MINOR = 1, 3
SUFFIX = ".h5"

EDITED = "/edited"  # the group of the run with edits; readers of before ignore it
IMAGES = "/images"  # the group of images; readers of before ignore it

# Axis names of the records that are shorter in the file.
FILE_DIMS = {"position": "pos"}

# The root's dimension scales; every other axis gets its scale inside its own group.
ROOT_DIMS = (
    "prompt", "layer", "pos", "head", "kv_head", "query", "key", "d_model", "d_head", "d_mlp",
)  # fmt: skip

# Each limit of the safe reader, in one table that the writer respects too.
MAX_JSON_BYTES = 16 << 20
MAX_JSON_DEPTH = 64
MAX_OBJECTS = 20_000
MAX_DEPTH = 16
MAX_NAME = 255
MAX_DIMENSIONS = 8
MAX_ELEMENT = 64 << 10
MAX_CHUNK = 64 << 20
MAX_PACKED_CHUNK = 4 << 20
MAX_DECLARED = 1 << 40
MAX_INFLATION = 1000
INFLATION_FLOOR = 16 << 20
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_BYTES = 64 << 10

_NARROW = 256  # bytes of a text up to which whole columns are decoded at once
_UNSAFE = re.compile(r"[^A-Za-z0-9@._+-]+")


@cache
def creator() -> str:
    """The program and its version as written into files."""
    # Slow to import, and nothing that reads a file needs it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"Microtome {version('microtome')}"
    except PackageNotFoundError:
        return "Microtome"


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of a format version.

    Raises SessionDamaged when the text is no version.
    """
    match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", text)
    if not match:
        raise SessionDamaged(f"The session's format version is {text[:40]!r}, not like 1.0.")
    return int(match[1]), int(match[2])


def safe_name(text: str, taken: Iterable[str] = ()) -> str:
    """A name for an HDF5 object that no reader can trip over, different from those taken."""
    base = _UNSAFE.sub("_", text)[:200].strip(".") or "unnamed"
    name, used, number = base, set(taken), 2
    while name in used:
        name, number = f"{base}_{number}", number + 1
    return name


def fixed_text(values: NDArray[Any] | Iterable[str], shape: tuple[int, ...]) -> NDArray[Any]:
    """Texts as fixed-length UTF-8.

    Fixed-length text is padded with NUL, so a NUL of the text itself becomes its visible symbol.
    """
    flat = np.asarray(values).ravel().tolist() if isinstance(values, np.ndarray) else list(values)
    encoded = [
        text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace") for text in flat
    ]
    width = max((len(text) for text in encoded), default=1)
    return np.array(encoded, dtype=f"S{max(1, width)}").reshape(shape)


def plain_text(values: NDArray[Any]) -> list[str]:
    """The texts of a fixed-length array, flattened."""
    texts = _ascii_text(values.ravel())
    if texts is not None:
        return texts
    try:
        texts = [text.decode("utf-8") for text in values.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise SessionDamaged(
            f"The session holds text that is not UTF-8 ({error.reason})."
        ) from error
    if any("\0" in text for text in texts):
        raise SessionDamaged("The session holds text with a NUL inside.")
    return texts


def _ascii_text(values: NDArray[Any]) -> list[str] | None:
    """The same for plain ASCII without a NUL inside, ten times as fast; None for all else."""
    width = values.dtype.itemsize
    if values.dtype.kind != "S" or not 0 < width <= _NARROW:
        return None
    letters = np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)
    if letters.max(initial=0) > 127 or ((letters[:, :-1] == 0) & (letters[:, 1:] != 0)).any():
        return None
    found: list[str] = values.astype(np.str_).tolist()
    return found


def _plain(value: Any) -> Any:
    """The value as JSON can hold it; a number that is not finite becomes null."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value


def json_bytes(value: Any, what: str) -> NDArray[np.uint8]:
    """A value as UTF-8 JSON in a uint8 array.

    Raises StorageError when it is larger than any reader would accept.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    if len(data) > MAX_JSON_BYTES:
        raise StorageError(
            f"The {what} takes {len(data) >> 20} MB as JSON, over {MAX_JSON_BYTES >> 20} MB."
        )
    return data


def parse_json(data: bytes, what: str) -> Any:
    """The value of JSON from a file, checked for size, depth and numbers that are none.

    Raises SessionDamaged that names ``what``.
    """
    if len(data) > MAX_JSON_BYTES:
        raise SessionDamaged(f"{what} holds {len(data)} bytes of JSON, over {MAX_JSON_BYTES}.")
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise SessionDamaged(f"{what} is not readable JSON: {reason}.") from error
    _check_depth(value, what)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: Any, what: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise SessionDamaged(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels.")
        nested: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                nested.extend(item.values())
            elif kind is list:
                nested.extend(item)
            elif kind is float and not math.isfinite(item):
                raise SessionDamaged(f"{what} holds a number that is not finite.")
        level = nested
