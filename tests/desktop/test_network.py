"""A window that starts, runs, saves and opens speaks to nobody; offline variables are obeyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
WATCH = """
import json, os, sys
from pathlib import Path
spoken = []
NAMES = {"socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
         "socket.gethostbyname", "socket.gethostbyaddr"}
def hear(event, arguments):
    if event in NAMES or event.startswith("urllib."):
        spoken.append([event, repr(arguments[1:])])
sys.addaudithook(hear)

def sockets():
    held = {os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = Path("/proc/self/net", kind)
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        found += [row for row in rows if f"socket:[{row.split()[9]}]" in held]
    return found
"""
DRIVE = (
    WATCH
    + """
from PySide6.QtCore import QEventLoop, QTimer
from microtome_desktop.application import make_application
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.wiring import Opening, settings_store
path = Path(sys.argv[1])
application = make_application([])
opening = Opening(None, settings_store())
opening.window.show()
def rest():
    loop = QEventLoop()
    opening.settled.connect(loop.quit)
    QTimer.singleShot(90_000, loop.quit)
    if opening.workbench is not None:
        opening.settle()
    loop.exec()
rest()
bench = opening.workbench
desk = bench.desk
first = desk.workspace.session
bench.window.actions_table.trigger(CommandId.RUN)
rest()
ran = desk.workspace.session
bench.runner.ask(SaveSession(path, ran))
rest()
bench.runner.ask(OpenSession(path))
rest()
done = [ran.uuid != first.uuid, desk.workspace.path == path, len(sockets())]
desk.workspace.mark_clean()
opening.close()
print(json.dumps([done, spoken]), flush=True)
os._exit(0)
"""
)
HEARS = (
    WATCH
    + """
import socket
listening = socket.create_server(("127.0.0.1", 0))
print(json.dumps([len(sockets()), [event for event, _ in spoken]]))
"""
)
FORBIDDEN = (
    WATCH
    + """
from microtome.errors import Offline
from microtome.models.download import look_up
try:
    look_up("owner/model")
except Offline as error:
    print(json.dumps([error.what, error.way_out, spoken]))
"""
)


def told(script, *arguments, **variables):
    """What a script says in a process of its own, without the variables that forbid the network."""
    kept = {k: v for k, v in os.environ.items() if k not in SWITCHES}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, check=False, env=kept | variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/net").exists(), reason="The system lists no sockets.")
def test_a_window_listens_nowhere_and_connects_nowhere(tmp_path):
    assert told(HEARS) == [1, ["socket.bind"]]
    assert told(DRIVE, str(tmp_path / "saved.h5")) == [[True, True, 0], []]


@pytest.mark.parametrize("name", SWITCHES)
def test_what_forbids_the_network_is_obeyed_and_named(tmp_path, name):
    what, way_out, spoken = told(FORBIDDEN, HF_HOME=str(tmp_path), **{name: "1"})
    assert what == f"The model owner/model is not on this computer, and {name} forbids the network."
    assert way_out.startswith(f"Unset {name},")
    assert spoken == []
