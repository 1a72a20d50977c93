"""What the model thread owns: the loaded model, and its share of the machine."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from microtome.errors import ModelError
from microtome_desktop.jobs.files import Files
from microtome_desktop.state.library import Machine

# The GUI thread goes first. Files only step back a little: nobody wants to wait for a save.
COMPUTING, FILES = 5, 2
_READ_BYTES = 256 * 2**20  # 2,048 units on 5,000 images take 160 MB


class Engine:
    """The model that requests work on. Only the model thread touches it."""

    def __init__(self) -> None:
        self.model: Any = None  # microtome.models.model.Model
        self.transcoders: dict[str, Any] = {}  # the set in use, by its name or folder
        self.dictionaries: dict[str, Any] = {}  # fingerprint -> what has codes: a Coder
        self.sets: dict[str, Any] = {}  # fingerprint of a layer -> Transcoders of all layers
        # Layer and checksum of images -> what was measured of all units: vision.cards.LayerReading.
        self.readings: dict[tuple[str, str], Any] = {}
        self.files = Files()  # of the IO thread

    @property
    def loaded(self) -> Any:
        """The model.

        Raises ModelError when none is loaded.
        """
        if self.model is None:
            raise ModelError("No model is loaded.", "Choose one in the Model menu.")
        return self.model

    def take(self, model: Any) -> None:
        """Work on another model; what was opened for the one before goes with it."""
        self.model, self.dictionaries, self.sets, self.readings = model, {}, {}, {}

    def keep_reading(self, reading: Any) -> None:
        """Keep what was measured of a layer, dropping the oldest beyond what memory should hold."""
        self.readings[reading.layer.name, reading.digest] = reading
        while len(self.readings) > 1 and self._read_bytes() > _READ_BYTES:
            del self.readings[next(iter(self.readings))]

    def _read_bytes(self) -> int:
        return sum(int(reading.nbytes) for reading in self.readings.values())

    def hold_set(self, transcoders: Any) -> None:
        """Keep each layer's features as a dictionary of their own, and all layers as they are.

        What features write across layers is large: it is kept of the set that came last.
        """
        if transcoders.crosses:
            self.sets = {name: one for name, one in self.sets.items() if not one.crosses}
        for layer in range(transcoders.n_layers):
            coder = transcoders.coder(layer)
            self.dictionaries[coder.identity.fingerprint] = coder
            self.sets[coder.identity.fingerprint] = transcoders


def step_back(niceness: int) -> None:
    """Let the GUI thread go first, where a single thread can be slowed (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def share_of_machine(threads: int = 0) -> Machine:
    """Start torch on so many threads, 0 leaves one core to the window; what the machine offers."""
    from microtome.models.devices import available_devices, use_threads

    count = threads or max(1, (os.cpu_count() or 2) - 1)
    return Machine(available_devices(), use_threads(count))
