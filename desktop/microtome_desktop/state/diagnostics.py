"""What somebody who helps needs to know, and nothing about what was worked on."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from psygnal import Signal

from microtome_desktop.state.scrubbing import scrubbed
from microtome_desktop.state.settings import Settings

LINES = 200  # of the log
PARTS = (
    "microtome", "torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "numpy",
    "h5py", "PySide6-Essentials", "pyqtgraph", "vispy",
)  # fmt: skip
# Named one by one: another setting may hold a path or what somebody typed.
SETTINGS = (
    "device", "dtype", "threads", "activations", "points", "edges", "autosave", "theme",
    "colour_map", "zoom",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What was gathered off the GUI thread."""

    hdf5: str  # the version of the library inside h5py
    lines: tuple[str, ...] = ()  # of the log, oldest first
    crash: str = ""  # what Python wrote when it was ended by force


class Diagnostics:
    """What was found of this program when somebody asked; ``changed`` comes with it."""

    changed = Signal(object)  # Found

    def __init__(self) -> None:
        self.crash = ""  # of the last start, if that ended without a word

    def put(self, found: Found) -> None:
        """Hand over what was gathered."""
        self.changed.emit(found)


def installed(name: str) -> str:
    """The version of a distribution; it is not imported for that."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def versions(qt: str, hdf5: str = "") -> list[str]:
    """What runs here, a line each. Without ``hdf5`` that library's is still to be told."""
    rows = [(name, installed(name)) for name in PARTS]
    rows += [
        ("HDF5", hdf5 or "…"),
        ("Qt", qt),
        ("Python", platform.python_version()),
        ("System", platform.platform()),
    ]
    return [f"{name:<20} {told}" for name, told in rows]


def report(settings: Settings, qt: str, found: Found) -> str:
    """Versions, settings, and the end of the log, without anything that tells who, where or what.

    Names of session files are in the log, and stay.
    """
    parts = [
        "Diagnostics of Microtome",
        "\n".join([*versions(qt, found.hdf5), f"{'Built for':<20} {sys.platform}"]),
        "\n".join(f"{name:<20} {getattr(settings, name)}" for name in SETTINGS),
        "\n".join([f"The last {len(found.lines)} lines of the log:", *found.lines]),
    ]
    if found.crash.strip():
        parts.append(f"Written when the last start ended:\n{found.crash.strip()}")
    return "\n\n".join(scrubbed(part) for part in parts) + "\n"
