"""Layouts that keep near directions near: UMAP, where it is installed.

The library compiles itself for most of a minute in each process that uses it, and cannot be
stopped meanwhile. So it runs in a process of its own (``umap_process``), which a stop ends.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float

from microtome.analysis.projection import project
from microtome.analysis.umap_installed import GET_UMAP, NO_UMAP, has_umap
from microtome.errors import InputError
from microtome.jobs import Job
from microtome.triage.programs import child_command

_AXES = 50  # principal components that distances are taken in
_LOOK = 0.1  # seconds between two looks at the process


def umap_points(
    unit: Float[np.ndarray, "feature d"], components: int, seed: int, job: Job
) -> Float[np.ndarray, "feature component"]:
    """Places of directions of length 1 by UMAP (McInnes et al., 2018), equal for equal seeds.

    Distances are cosines in the 50 first principal components, with 15 neighbours. Raises
    InputError where it is not installed, for fewer rows than it can place, or with its own words
    where it fails.
    """
    if not has_umap():
        raise InputError(NO_UMAP, GET_UMAP)
    if len(unit) < components + 2:
        raise InputError(
            f"{len(unit)} directions are too few for UMAP.", "Take the principal components."
        )
    first = project(unit, min(_AXES, unit.shape[1])).points
    with TemporaryDirectory() as folder:
        return _placed(Path(folder), first, components, seed, job)


def _placed(
    folder: Path, rows: Float[np.ndarray, "row axis"], components: int, seed: int, job: Job
) -> Float[np.ndarray, "row component"]:
    np.save(folder / "rows.npy", rows)
    command = child_command("umap", str(folder), str(components), str(seed))
    told = folder / "told.txt"
    with told.open("wb") as out, (folder / "problem.txt").open("w+") as problem:
        process = subprocess.Popen(command, stdout=out, stderr=problem)  # noqa: S603  # our script
        try:
            while process.poll() is None:
                _report(told, job)
                try:
                    process.wait(_LOOK)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        problem.seek(0)
        if process.returncode:
            last = (problem.read().strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"UMAP failed: {last}.", "Take the principal components.")
    placed: Float[np.ndarray, "row component"] = np.load(folder / "points.npy")
    return placed


def _report(told: Path, job: Job) -> None:
    """How far the process says it is; it says nothing while it compiles. Raises Cancelled."""
    last = told.read_bytes()[-40:].decode("ascii", "replace").replace("\r", "\n").split("\n")
    pairs = (line.strip().partition("/") for line in reversed(last))
    for done, _, total in pairs:
        if done.isdecimal() and total.isdecimal() and int(done) <= int(total):
            job.progress("Placing by UMAP", int(done), int(total))
            return
    job.progress("UMAP compiles itself and finds neighbours", 0, 0)
