"""Whether a window can be opened here. Standard library only: the set-up asks it too."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

_NAMES = ("DISPLAY", "WAYLAND_DISPLAY")
_PATIENCE_S = 2.0
_X_PORT = 6000
# Platforms of Qt that need a server behind them; all others draw without one.
_SERVED = ("xcb", "wayland")


def has_screen(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a screen answers; Qt aborts the process where one is named that does not."""
    if not sys.platform.startswith("linux"):
        return True
    platform = environment.get("QT_QPA_PLATFORM", "")
    if platform and not platform.startswith(_SERVED):
        return True
    return _answers(_x_server(environment)) or _answers(_wayland_server(environment))


def why_no_screen(environment: Mapping[str, str] = os.environ) -> str:
    """Why ``has_screen`` said no, as the end of a sentence."""
    named = [f"{name}={environment[name]}" for name in _NAMES if environment.get(name)]
    if not named:
        return f"neither {_NAMES[0]} nor {_NAMES[1]} is set"
    return f"nothing answers at {' or '.join(named)}"


def _x_server(environment: Mapping[str, str]) -> Iterator[Callable[[], socket.socket]]:
    """Ways to the server of ``DISPLAY``: "host:number.screen", without a host, or a path."""
    display = environment.get("DISPLAY", "")
    found = re.fullmatch(r"(.*):(\d+)(\.\d+)?", display)
    if found is None:
        return
    host, number = found[1], int(found[2])
    if host.startswith("/"):
        yield partial(_local, display)
    elif host not in ("", "unix"):
        yield partial(socket.create_connection, (host, _X_PORT + number), _PATIENCE_S)
    else:
        path = str(Path("/", "tmp", ".X11-unix", f"X{number}"))  # where X servers of Linux listen
        yield partial(_local, path)
        yield partial(_local, f"\0{path}")


def _wayland_server(environment: Mapping[str, str]) -> Iterator[Callable[[], socket.socket]]:
    name = environment.get("WAYLAND_DISPLAY", "")
    if name:
        yield partial(_local, str(Path(environment.get("XDG_RUNTIME_DIR", ""), name)))


def _local(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_PATIENCE_S)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _answers(ways: Iterable[Callable[[], socket.socket]]) -> bool:
    for connect in ways:
        with suppress(OSError), connect():
            return True
    return False
