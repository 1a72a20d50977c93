"""Room of a file that nothing in it uses any more: HDF5 does not give back what was replaced."""

from __future__ import annotations

import h5py
from h5py import h5d, h5g, h5o

_SHARE = 0.2
_WORTH_A_WORD = 1 << 20


def wasted(file: h5py.File, size: int) -> int:
    """Bytes of a file of ``size`` bytes beyond what its objects need: values, headers, indices.

    Names of objects and lists of axes, some tens of kilobytes, count as waste too.
    """
    seen: set[int] = set()
    needed, waiting = 0, [h5g.open(file.id, b"/")]
    while waiting:
        group = waiting.pop()
        needed += _needed(group)
        for name in group:
            info = h5o.get_info(group, name)
            if info.addr in seen:
                continue
            seen.add(info.addr)
            found = h5o.open(group, name)
            if isinstance(found, h5g.GroupID):
                waiting.append(found)
            else:
                needed += _needed(found)
    return max(0, size - needed)


def is_much(waste: int, size: int) -> bool:
    """Whether writing the file anew is worth the time: over a fifth of it, and over 1 MB."""
    return waste > max(_WORTH_A_WORD, _SHARE * size)


def _needed(held: h5g.GroupID | h5d.DatasetID) -> int:
    info = h5o.get_info(held)
    kept = info.meta_size.obj.index_size + info.meta_size.obj.heap_size
    kept += info.meta_size.attr.index_size + info.meta_size.attr.heap_size
    stored = held.get_storage_size() if isinstance(held, h5d.DatasetID) else 0
    return int(info.hdr.space.total + kept + stored)
