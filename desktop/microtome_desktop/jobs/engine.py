"""What the model thread owns: the loaded model, and its share of the machine."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from microtome.errors import ModelError
from microtome_desktop.state.library import Machine

# The GUI thread goes first. Files only step back a little: nobody wants to wait for a save.
COMPUTING, FILES = 5, 2


class Engine:
    """The model that requests work on. Only the model thread touches it."""

    def __init__(self) -> None:
        self.model: Any = None  # microtome.models.model.Model
        self.dictionaries: dict[str, Any] = {}  # fingerprint -> what has codes: a Coder

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
        self.model, self.dictionaries = model, {}


def step_back(niceness: int) -> None:
    """Let the GUI thread go first, where a single thread can be slowed (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def share_of_machine(threads: int = 0) -> Machine:
    """Start torch on so many threads, 0 leaves one core to the window; what the machine offers."""
    from microtome.models.devices import available_devices, use_threads

    count = threads or max(1, (os.cpu_count() or 2) - 1)
    return Machine(available_devices(), use_threads(count))
