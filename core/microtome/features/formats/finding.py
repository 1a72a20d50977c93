"""From the name of a dictionary to the folder that holds it: embedded, local, or of the hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import microtome_resources as resources
from microtome.errors import DictionaryError, Offline, UnsafeDictionary, expect
from microtome.features.formats.place import Place
from microtome.jobs import Job
from microtome.models.download import Download, HubFile, fetch, look_up
from microtome.models.hub import cached_part

_EXAMPLE = "Write for example 'path/of/a/folder', or owner/repository/folder of the hub."
_HUB = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+(?:/[\w.-]+)*/?$")
_FILE = re.compile(r".*\.(?:safetensors|npz|pt|json|yaml)$")
# What is fetched of a folder of the hub, never code.
_ENDINGS = (".safetensors", ".npz", ".json", ".yaml", "/ae.pt")
_TEXTS = (".json", ".yaml")
_WEIGHTS = ("*.safetensors", "*.npz", "ae.pt")
_BENEATH = ("checkpoints/final.safetensors",)
_LISTED = 6


def find_dictionary(name: str | os.PathLike[str], *, allow_download: bool, job: Job) -> Place:
    """Where a dictionary lies: an embedded name first, then a folder or file, then the hub.

    Raises DictionaryError when there is none, Offline when only the network could help.
    """
    expect(name, (str, os.PathLike), "path", "a name or folder", _EXAMPLE)
    text = os.fspath(name).strip()
    embedded = embedded_dictionaries().get(text)
    if embedded is not None:
        return Place(text, embedded, trail=tuple(text.split("/")))
    path = Path(text).expanduser()
    if text and path.exists():
        return _local(path)
    if _HUB.match(text) and ".." not in text:
        return _of_hub(text.rstrip("/"), allow_download, job)
    listed = ", ".join(embedded_dictionaries()) or "none"
    raise DictionaryError(
        f"There is no dictionary {text!r}: neither an embedded one nor a folder or file.",
        f"Embedded are {listed}. Of the hub: owner/repository/folder.",
    )


def embedded_dictionaries() -> dict[str, Path]:
    """Dictionaries that come with Microtome: model and name, and the folder."""
    root = Path(resources.__file__).parent / "dictionaries"
    folders = sorted(path for path in root.glob("*/*") if path.is_dir())
    return {f"{path.parent.name}/{path.name}": path for path in folders}


def _local(path: Path) -> Place:
    whole = path.resolve() if path.is_dir() else path.absolute()
    folder, chosen = (whole, "") if whole.is_dir() else (whole.parent, whole.name)
    name = f"{folder.name}/{chosen}" if chosen else folder.name
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise DictionaryError(
            f"{folder.name} cannot be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    return Place(name, folder, chosen, folder.parts[-8:])


@dataclass(frozen=True, slots=True)
class _OnHub:
    """A folder of a hub repository, and the one file of it that was meant."""

    text: str
    repository: str
    folder: str
    chosen: str

    @classmethod
    def named(cls, text: str) -> _OnHub:
        parts = text.split("/")
        inner = parts[2:]
        chosen = inner.pop() if inner and _FILE.match(inner[-1]) else ""
        return cls(text, "/".join(parts[:2]), "/".join(inner), chosen)

    def cached(self) -> Path | None:
        """The folder in the local cache, None when it is not there."""
        texts = ["*.json", "*.yaml"]
        files = [self.chosen, *texts] if self.chosen else [*_WEIGHTS, *texts]
        found = cached_part(self.repository, self.folder, files)
        whole = found is not None and (not self.chosen or (found / self.chosen).is_file())
        return found if whole else None

    def plan(self) -> Download:
        """What would be fetched. Asks the hub."""
        return look_up(
            self.repository, lambda name, files: _chosen(name, self.folder, self.chosen, files)
        )


def plan_dictionary(name: str) -> Download | None:
    """What would be fetched of a dictionary of the hub, None when it is here. Asks the hub.

    Raises DictionaryError and UnsafeDictionary for a repository without one, ModelNotFound for
    none at all, Offline.
    """
    asked = _OnHub.named(name.strip().rstrip("/"))
    return None if asked.cached() else asked.plan()


def _of_hub(text: str, allow_download: bool, job: Job) -> Place:
    asked = _OnHub.named(text)
    owner = text.partition("/")[0]
    found = asked.cached()
    if found is None:
        embedded = [one for one in resources.dictionary_names() if one.startswith(f"{owner}/")]
        if embedded:
            raise DictionaryError(
                f"There is no embedded dictionary {text}.", f"There are {', '.join(embedded)}."
            )
        if not allow_download:
            raise Offline(
                f"The dictionary {text} is not on this computer.",
                "Allow the download (allow_download=True in Python), or give the folder of a local "
                "copy.",
            )
        job.progress(f"Asking the hub for {text}", 0, 1)
        plan = asked.plan()
        job.partial("download", plan)
        found = fetch(plan, job) / asked.folder
    inner = asked.folder.split("/") if asked.folder else []
    return Place(text, found, asked.chosen, (*asked.repository.split("/"), *inner))


def _chosen(name: str, folder: str, chosen: str, files: list[HubFile]) -> tuple[HubFile, ...]:
    """Files to fetch: those directly in the folder; of large ones only the one that was named."""
    start = f"{folder}/" if folder else ""
    inside = [file for file in files if _belongs(file.name, start)]
    if chosen:
        inside = [
            file for file in inside
            if file.name == start + chosen or file.name.endswith(_TEXTS)
        ]  # fmt: skip
    # Settings alone are enough where they say in which repositories the layers lie.
    alone = start + "config.yaml"
    if any(each.name == alone or not each.name.endswith(_TEXTS) for each in inside):
        return tuple(inside)
    known = (".safetensors", ".npz", "/ae.pt")
    beneath = sorted({
        file.name.rpartition("/")[0] for file in files
        if file.name.startswith(start) and file.name.endswith(known) and "/" in file.name
    })  # fmt: skip
    pickles = [file.name for file in files if file.name.endswith((".pt", ".bin", ".pth"))]
    if not beneath and pickles:
        raise UnsafeDictionary(
            f"The weights of {name} are in {pickles[0]}, a format that can run code; nothing was "
            "fetched.",
            "Of pickles only ae.pt of dictionary_learning is read.",
        )
    raise DictionaryError(
        f"{name} holds no dictionary in {folder or 'its top folder'}; nothing was fetched.",
        f"Name one of its {len(beneath)} folders, for example {', '.join(beneath[:_LISTED])}."
        if beneath
        else "Choose a repository of sparse dictionaries.",
    )


def _belongs(name: str, start: str) -> bool:
    rest = name.removeprefix(start)
    if not name.startswith(start):
        return False
    return rest in _BENEATH or ("/" not in rest and f"/{rest}".endswith(_ENDINGS))
