"""What the window remembers between starts, on any store of keys and values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from psygnal import Signal

_MOST_RECENT = 8


class Store(Protocol):
    """Where settings lie: QSettings in the window, a plain one in tests."""

    def value(self, key: str, default: Any = None, /) -> Any:
        """What is kept under a key."""
        ...

    def setValue(self, key: str, value: Any, /) -> None:
        """Keep a value under a key."""
        ...


class MemoryStore:
    """A store that forgets at exit."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def value(self, key: str, default: Any = None, /) -> Any:
        """What is kept under a key."""
        return self._values.get(key, default)

    def setValue(self, key: str, value: Any, /) -> None:
        """Keep a value under a key."""
        self._values[key] = value


PRECISIONS = ("float32", "bfloat16", "float16", "float64")


# Of all text and controls, in percent; more does not fit a laptop's screen.
ZOOMS = (80, 90, 100, 110, 125, 150, 175, 200)


# Of activations that a run keeps, in MiB; points of a feature space; edges into each node of a
# circuit; minutes between two saves that nobody asked for, 0 for none.
ACTIVATIONS = (128, 256, 512, 1024, 2048, 4096, 8192, 16384)
POINTS = (1000, 2000, 4000, 8000, 16000, 32000)
EDGES = (8, 16, 32, 64, 128)
AUTOSAVES = (0, 2, 10, 30)  # seconds after a change


THEMES = ("dark", "light", "system")
COLOUR_MAPS = ("magma", "viridis", "cividis", "inferno")


class Settings:
    """Recent files and models, the device, shortcuts, and the layout of the window.

    Lists and tables are kept as JSON text, since an ini file gives every list of one entry back
    as text.
    """

    recent_changed = Signal()
    changed = Signal(str)  # the name of a property: device, dtype, threads, theme, …
    shortcuts_changed = Signal()

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def recent_sessions(self) -> tuple[Path, ...]:
        """Session files that were opened or saved, newest first."""
        return tuple(Path(text) for text in self._list("recent/sessions"))

    @property
    def recent_models(self) -> tuple[str, ...]:
        """Folders and hub ids of models that were loaded, newest first."""
        return self._list("recent/models")

    @property
    def adapters(self) -> tuple[tuple[str, str], ...]:
        """Adapters that were opened and the weights they were opened with, newest first."""
        pairs = (text.partition("\n") for text in self._list("models/adapters"))
        return tuple((adapter, weights) for adapter, _, weights in pairs)

    def remember_adapter(self, adapter: str, weights: str) -> None:
        """Put an adapter and its weights first."""
        self._remember("models/adapters", f"{adapter}\n{weights}")

    def forget_adapter(self, adapter: str, weights: str) -> None:
        """Drop an adapter from those that are named."""
        left = [text for text in self._list("models/adapters") if text != f"{adapter}\n{weights}"]
        self._keep("models/adapters", left)

    def remember_session(self, path: Path) -> None:
        """Put a session file first."""
        self._remember("recent/sessions", str(path.resolve()))

    def remember_model(self, name: str) -> None:
        """Put a model first."""
        self._remember("recent/models", name)

    def forget_session(self, path: Path) -> None:
        """Drop a session file that is gone."""
        self._keep("recent/sessions", (p for p in self._list("recent/sessions") if p != str(path)))

    @property
    def device(self) -> str:
        """Where models are loaded."""
        return str(self._store.value("model/device", "cpu"))

    @device.setter
    def device(self, name: str) -> None:
        self._set("device", "model/device", name)

    @property
    def dtype(self) -> str:
        """The precision that models are loaded with."""
        return str(self._store.value("model/dtype", PRECISIONS[0]))

    @dtype.setter
    def dtype(self, name: str) -> None:
        self._set("dtype", "model/dtype", name)

    @property
    def threads(self) -> int:
        """On how many threads models compute; 0 leaves one core to the window."""
        return max(0, self._number("model/threads", 0))

    @threads.setter
    def threads(self, count: int) -> None:
        self._set("threads", "model/threads", count)

    @property
    def activations(self) -> int:
        """How many MiB of activations a run keeps at most."""
        return self._one_number(ACTIVATIONS, "budgets/activations", 1024)

    @activations.setter
    def activations(self, count: int) -> None:
        self._set("activations", "budgets/activations", count)

    @property
    def points(self) -> int:
        """How many points a feature space that is asked for has at most."""
        return self._one_number(POINTS, "budgets/points", 4000)

    @points.setter
    def points(self, count: int) -> None:
        self._set("points", "budgets/points", count)

    @property
    def edges(self) -> int:
        """How many edges into each node of a circuit are kept, the strongest."""
        return self._one_number(EDGES, "budgets/edges", 32)

    @edges.setter
    def edges(self, count: int) -> None:
        self._set("edges", "budgets/edges", count)

    @property
    def autosave(self) -> int:
        """Seconds after a change until what no file holds is kept; 0 for never."""
        return self._one_number(AUTOSAVES, "files/autosave", 2)

    @autosave.setter
    def autosave(self, minutes: int) -> None:
        self._set("autosave", "files/autosave", minutes)

    @property
    def theme(self) -> str:
        """Dark, light, or as the system is."""
        return self._one_of(THEMES, "window/theme")

    @theme.setter
    def theme(self, name: str) -> None:
        self._set("theme", "window/theme", name)

    @property
    def colour_map(self) -> str:
        """The colour map of values from zero upward."""
        return self._one_of(COLOUR_MAPS, "window/colour_map")

    @colour_map.setter
    def colour_map(self, name: str) -> None:
        self._set("colour_map", "window/colour_map", name)

    @property
    def zoom(self) -> int:
        """The size of all text and controls in percent, from the next start on."""
        return self._one_number(ZOOMS, "window/zoom", 100)

    @zoom.setter
    def zoom(self, percent: int) -> None:
        self._set("zoom", "window/zoom", percent)

    @property
    def shortcuts(self) -> dict[str, str]:
        """The user's own keys by command; empty text for a command without any."""
        held = self._json("keys/shortcuts")
        return {str(k): str(v) for k, v in held.items()} if isinstance(held, dict) else {}

    @shortcuts.setter
    def shortcuts(self, keys: dict[str, str]) -> None:
        if keys != self.shortcuts:
            self._store.setValue("keys/shortcuts", json.dumps(keys, sort_keys=True))
            self.shortcuts_changed.emit()

    @property
    def recent_found(self) -> tuple[str, ...]:
        """What was chosen in the palette, newest first."""
        return self._list("recent/found")

    def remember_found(self, key: str) -> None:
        """Put a choice of the palette first."""
        self._remember("recent/found", key)

    @property
    def folder(self) -> str:
        """The folder of the last file dialog."""
        return str(self._store.value("files/folder", ""))

    @folder.setter
    def folder(self, path: str) -> None:
        self._store.setValue("files/folder", path)

    def layout(self, name: str) -> Any:
        """The bytes of a saved layout, None when there is none."""
        return self._store.value(f"layout/{name}")

    def set_layout(self, name: str, data: Any) -> None:
        """Keep the bytes of a layout."""
        self._store.setValue(f"layout/{name}", data)

    @property
    def layouts(self) -> dict[str, str]:
        """The layouts of the user's own by name: the state of the docks as hexadecimal digits."""
        held = self._json("layout/named")
        return {str(k): str(v) for k, v in held.items()} if isinstance(held, dict) else {}

    @layouts.setter
    def layouts(self, held: dict[str, str]) -> None:
        self._store.setValue("layout/named", json.dumps(held))

    def _set(self, name: str, key: str, value: str | int) -> None:
        if value != getattr(self, name):
            self._store.setValue(key, value)
            self.changed.emit(name)

    def _one_of(self, names: tuple[str, ...], key: str) -> str:
        held = str(self._store.value(key, names[0]))
        return held if held in names else names[0]

    def _one_number(self, numbers: tuple[int, ...], key: str, default: int) -> int:
        held = self._number(key, default)
        return held if held in numbers else default

    def _number(self, key: str, default: int) -> int:
        try:
            return int(self._store.value(key, default))  # an ini file gives text back
        except (TypeError, ValueError):
            return default

    def _json(self, key: str) -> Any:
        try:
            return json.loads(self._store.value(key, "null"))
        except (TypeError, ValueError):  # an ini file that somebody edited
            return None

    def _list(self, key: str) -> tuple[str, ...]:
        held = self._json(key)
        return tuple(str(entry) for entry in held) if isinstance(held, list) else ()

    def _remember(self, key: str, entry: str) -> None:
        self._keep(key, [entry, *(other for other in self._list(key) if other != entry)])

    def _keep(self, key: str, entries: Iterable[str]) -> None:
        self._store.setValue(key, json.dumps([*entries][:_MOST_RECENT]))
        self.recent_changed.emit()
