"""The fingerprint of weights: two models are the same when every tensor is.

SHA-256 over name, type, shape and bytes of each tensor, sorted by name: the same for one file
or many shards, and different for two checkpoints of one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from microtome.jobs import Job, job_or_default

_PIECE = 1 << 24  # bytes hashed between two looks at the job


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as it is stored: ``data`` is a flat byte buffer."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Any


def fingerprint(tensors: Iterable[StoredTensor], job: Job | None = None) -> str:
    """The fingerprint of a set of tensors, as 64 hexadecimal digits."""
    job = job_or_default(job)
    ordered = sorted(tensors, key=lambda tensor: tensor.name)
    total = hashlib.sha256()
    # Hashing releases the interpreter lock, so a few threads use as many cores.
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = pool.map(lambda tensor: _digest(tensor, job), ordered)
        for tensor, digest in zip(ordered, digests, strict=True):
            total.update(f"{tensor.name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
            total.update(digest)
    return total.hexdigest()


def _digest(tensor: StoredTensor, job: Job) -> bytes:
    digest, data = hashlib.sha256(), memoryview(tensor.data)
    for start in range(0, len(data), _PIECE):
        job.check()
        digest.update(data[start : start + _PIECE])
    return digest.digest()
