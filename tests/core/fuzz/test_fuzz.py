"""The fuzzer: damage that readers take or refuse, and a reader that breaks is found and named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
# Two readers that break by what the file holds, instead of the program's own.
PLANTED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import run
run._find_helpers()
import readers
def seeds(_):
    return [{{"given": bytes(range(64, 128))}}]
def read(folder):
    first = readers.only(folder).read_bytes()[:1]
    if first == b"A":
        signal.raise_signal(signal.SIGSEGV)
    if first < b"@":
        raise KeyError("B")
    if first == b"H":
        while True: pass
    if first == b"D":
        open({canary!r})
readers.READERS = {{"planted": readers.Reader(seeds, read, 100)}}
run.import_module("forks").SECONDS = 0.2
sys.exit(run.main(sys.argv[1:]))
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies processes")


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    plain = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True, text=True, check=False, env=plain,
    )  # fmt: skip


def test_three_hundred_inputs_break_no_reader(tmp_path: Path) -> None:
    done = _run(RUN, "--count", 300, "--keep", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert told[-1].endswith("inputs, 0 broken, seed 0")
    assert int(told[-1].split()[0].replace(",", "")) >= 300
    assert len(told) == 10
    assert not list(tmp_path.iterdir())


def test_what_breaks_a_reader_is_kept_and_named(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    keep = tmp_path / "kept"
    code = PLANTED.format(folder=str(RUN.parent), canary=str(canary))
    done = _run("-c", code, "--count", 600, "--keep", keep)
    assert done.returncode == 1, done.stderr
    found = set()
    for folder in keep.iterdir():
        (line,) = (line for line in done.stdout.splitlines() if f"{folder.name}:" in line)
        first = (folder / "given").read_bytes()[:1]
        found.add((first if first >= b"@" else b"", line.split(": ")[1]))
    assert found == {
        (b"A", "SIGSEGV"), (b"", "KeyError"), (b"H", "SIGPROF"), (b"D", "PermissionError")
    }  # fmt: skip
