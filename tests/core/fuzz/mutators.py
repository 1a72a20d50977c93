"""Random damage to a file: bits, numbers that tell lengths, blocks, other files, JSON values."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
          0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 1e308, -0.5, "", "a", "\ud800", "../../x",
    "/etc/hostname", "\0", "<img src=x>", "9" * 5000, [], {}, [[]], [None] * 50,
    {"a": {"a": {"a": []}}}, "NaN", "nan",
)  # fmt: skip
MOST = 40_000  # bytes that an input may grow to


def mutated(dice: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A copy with one to four kinds of damage."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        kinds = _JSON if data[:1] in (b"{", b"[") and dice.random() < 0.7 else _BINARY
        data = dice.choice(kinds)(dice, data or b"\0", others)[:MOST]
    return data


def _flip(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    held = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        held[dice.randrange(len(held))] ^= 1 << dice.randrange(8)
    return bytes(held)


def _byte(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    held = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        held[dice.randrange(len(held))] = dice.randrange(256)
    return bytes(held)


def _length(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A whole number of 1, 2, 4 or 8 bytes becomes another, mostly one at the edge of a type."""
    width, held = dice.choice((1, 2, 4, 8)), bytearray(data)
    at = dice.randrange(max(1, len(held) - width))
    order = dice.choice(("little", "big"))
    now = int.from_bytes(held[at : at + width], order)
    wanted = dice.choice((*_EDGES, now + 1, now - 1, now * 2, len(data)))
    held[at : at + width] = (wanted % (1 << 8 * width)).to_bytes(width, order)
    return bytes(held)


def _block(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A part is written over another, put in, taken out or repeated."""
    start, size = dice.randrange(len(data)), dice.choice((1, 2, 8, 64, 512, 4096))
    part, at = data[start : start + size], dice.randrange(len(data))
    way = dice.randrange(4)
    if way == 0:
        return data[:at] + part + data[at + len(part) :]
    if way == 1:
        return data[:at] + part + data[at:]
    if way == 2:
        return data[:start] + data[start + size :]
    return data[:at] + part * dice.randint(2, 40) + data[at:]


def _cut(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: dice.randrange(len(data))]


def _splice(dice: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others) or b"\0"
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def _json_value(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A value somewhere becomes another, a key another, an element is repeated or gone."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(dice, data, ())
    places = list(_places(value, 0))
    if not places:
        return json.dumps(dice.choice(_ODD)).encode()
    held, key = dice.choice(places)
    way = dice.randrange(5)
    if way == 0:
        held.pop(key)
    elif way == 1 and isinstance(held, dict):
        held[str(dice.choice(_ODD))[:200]] = held.pop(key)
    elif way == 2 and isinstance(held, list):
        held[key:key] = [held[key]] * dice.choice((1, 2, 200))
    elif way == 3:
        other, at = dice.choice(places)
        held[key] = json.loads(json.dumps(other[at])) if at in _keys(other) else None
    else:
        held[key] = dice.choice(_ODD)
    return json.dumps(value).encode()


def _keys(held: dict[str, Any] | list[Any]) -> Any:
    return held if isinstance(held, dict) else range(len(held))


def _places(value: Any, depth: int) -> Any:
    if isinstance(value, dict | list) and depth < 20:
        for key in list(_keys(value)):
            yield value, key
            yield from _places(value[key], depth + 1)


_BINARY = (_flip, _byte, _length, _length, _block, _cut, _splice)
_JSON = (_json_value, _json_value, _json_value, _block)
