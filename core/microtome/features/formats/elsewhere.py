"""Layers of a set that lie in repositories of the hub, as ``config.yaml`` may say.

circuit-tracer's own set for Gemma 2 is such a list: its settings are in one repository, its layers
in that of Gemma Scope.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from microtome.errors import DictionaryError, Offline
from microtome.features.formats.place import Place
from microtome.jobs import Job
from microtome.models.download import Download, HubFile, fetch, look_up
from microtome.models.hub import cached_part

_CONFIG = "config.yaml"
_URI = re.compile(
    r"hf://([A-Za-z0-9][\w.-]*/[\w.-]+)/((?:[\w.-]+/)*[\w.-]+(\.safetensors|\.npz))"
    r"(?:[@?](?:revision=)?([\w.-]+))?"
)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Where a layer lies: repository, file, and how that ends."""

    repository: str
    file: str
    ending: str

    def path(self) -> Path | None:
        """The file in the local cache, None when it is not there."""
        folder, _, name = self.file.rpartition("/")
        found = cached_part(self.repository, folder, [name])
        return found / name if found and (found / name).is_file() else None


def with_layers(place: Place, *, allow_download: bool, job: Job) -> Place:
    """The same place, with the layers that its settings name in repositories of the hub.

    They are fetched when that is allowed. Raises Offline when it is not and they are not here,
    DictionaryError for what can be no such name, a revision, or a file that is not there.
    """
    layers = _listed(place)
    missing = [layer for layer in layers if layer.path() is None]
    if missing and not allow_download:
        raise Offline(
            f"{len(missing)} of {len(layers)} layers of {place.name} are not on this computer.",
            "Allow the download (allow_download=True in Python).",
        )
    for repository, files in _by_repository(missing).items():
        job.progress(f"Asking the hub for {repository}", 0, 1)
        plan = _plan(repository, files)
        job.partial("download", plan)
        fetch(plan, job)
    held = {f"layer_{at}{layer.ending}": layer.path() for at, layer in enumerate(layers)}
    found = {name: path for name, path in held.items() if path}
    return replace(place, elsewhere=found) if found else place


def plans_of_layers(place: Place) -> tuple[Download, ...]:
    """What would be fetched of the layers that are not here, by repository. Asks the hub."""
    missing = [layer for layer in _listed(place) if layer.path() is None]
    return tuple(_plan(name, files) for name, files in _by_repository(missing).items())


def _listed(place: Place) -> list[_Layer]:
    """The layers that lie in repositories of the hub by the settings of a place."""
    if not place.has(_CONFIG) or place.chosen not in {"", _CONFIG}:
        return []
    listed = place.yaml(_CONFIG).get("transcoders")
    if not isinstance(listed, list) or not any(str(each).startswith("hf://") for each in listed):
        return []
    return [_parsed(str(each)) for each in listed]


def _by_repository(layers: Sequence[_Layer]) -> dict[str, list[_Layer]]:
    found: dict[str, list[_Layer]] = defaultdict(list)
    for layer in layers:
        found[layer.repository].append(layer)
    return found


def _parsed(uri: str) -> _Layer:
    found = _URI.fullmatch(uri)
    if not found or ".." in uri:
        raise DictionaryError(
            f"{_CONFIG} takes a layer from {uri[:120]!r}.",
            "Every layer is a file of the hub: hf://owner/repository/folder/file.safetensors.",
        )
    if found[4] not in {None, "main"}:
        raise DictionaryError(
            f"{_CONFIG} takes a layer from the revision {found[4]} of {found[1]}; only the newest "
            "is fetched.",
            "Download those files into one folder as layer_0, layer_1, …, and open that.",
        )
    return _Layer(found[1], found[2], found[3])


def _plan(repository: str, layers: Sequence[_Layer]) -> Download:
    wanted = {layer.file for layer in layers}

    def choose(name: str, files: list[HubFile]) -> tuple[HubFile, ...]:
        lacks = sorted(wanted - {file.name for file in files})
        if lacks:
            raise DictionaryError(f"{name} has no file {lacks[0]}; nothing was fetched.")
        return tuple(file for file in files if file.name in wanted)

    return look_up(repository, choose)
