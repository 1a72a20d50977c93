"""The set-up on a fresh machine: what it says and does when something is not as it should be."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture
def bootstrap(root, monkeypatch):
    """Return a way to import the set-up's own modules."""
    monkeypatch.syspath_prepend(str(root / "packaging"))
    return importlib.import_module


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """Return a fresh checkout with what set-up reads, and no environment."""
    folder = tmp_path / "checkout"
    shutil.copytree(root / "packaging", folder / "packaging")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder)
    return folder


def start(checkout: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "packaging" / "bootstrap.py", *arguments],
        env={**os.environ, "PIP_RETRIES": "0", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_task_is_refused_before_any_set_up(checkout):
    outcome = start(checkout, "fly")
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("usage:")
    assert not (checkout / ".venv").exists()


@pytest.mark.timeout(300)
def test_without_network_it_says_so_and_the_next_start_begins_again(checkout):
    unreachable = {"PIP_INDEX_URL": NOWHERE, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    first = start(checkout, "run", **unreachable)
    assert first.returncode == 1
    assert "GB to download" in first.stdout
    assert "The package index could not be reached" in first.stderr
    assert "Traceback" not in first.stderr
    # What the cut-off set-up left half-written must not survive the next start.
    debris = next((checkout / ".venv").rglob("site-packages")) / "debris.py"
    debris.touch()
    assert start(checkout, "run", **unreachable).returncode == 1
    assert not debris.exists()


def test_too_small_a_disk_is_said_before_anything_is_downloaded(bootstrap, monkeypatch):
    environment = bootstrap("environment")
    usage = shutil.disk_usage(Path.cwd())._replace(free=10**9)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(environment.SetupError, match=r"1\.0 GB are free"):
        environment._announce({"desktop"})


def test_an_old_python_is_told_which_one_is_needed(root):
    old = (
        "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['bootstrap.py', 'run']\n"
        f"runpy.run_path({str(root / 'packaging' / 'bootstrap.py')!r}, run_name='__main__')"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", old],
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Microtome needs Python 3.11 or newer; this is 3.9")


def test_a_finished_set_up_is_left_alone_and_a_half_made_one_is_not(
    bootstrap, monkeypatch, tmp_path
):
    environment = bootstrap("environment")
    made = []
    for name in ("STAMP", "UNFINISHED"):
        monkeypatch.setattr(environment, name, tmp_path / name)
    monkeypatch.setattr(environment, "_make_venv", lambda: made.append("environment"))
    monkeypatch.setattr(environment, "_install", lambda extras, **_: made.append(extras))
    monkeypatch.setattr(environment, "_works", lambda: True)
    environment.write_stamp(digest=environment.digest(), extras=["desktop"])
    assert not environment.ensure({"desktop"})
    assert made == []
    assert environment.ensure({"desktop", "test"})
    assert made == [["desktop", "test"]]
    environment.UNFINISHED.touch()
    assert environment.ensure({"desktop"})
    assert made[1:] == ["environment", ["desktop"]]


def test_the_set_up_follows_dependencies_and_not_lint_rules(bootstrap, monkeypatch, checkout):
    environment = bootstrap("environment")
    monkeypatch.setattr(environment, "ROOT", checkout)
    settings = checkout / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    before = environment.digest()
    settings.write_text(text.replace("line-length = 100", "line-length = 99"), encoding="utf-8")
    assert environment.digest() == before
    settings.write_text(text.replace('"torch>=', '"torch>'), encoding="utf-8")
    assert environment.digest() != before


def test_a_missing_library_is_named_with_the_command_that_brings_it(bootstrap, monkeypatch):
    native = bootstrap("native")
    monkeypatch.setattr(native, "LIBRARIES", {"libmissing1": "libmissing.so.1"})
    monkeypatch.setattr(native, "PROGRAMS", {})
    monkeypatch.setattr(native.sys, "platform", "linux")
    assert native.missing_libraries() == ["libmissing1"]
    monkeypatch.setattr(native.shutil, "which", lambda _: "apt-get")
    assert "apt-get install --no-install-recommends libmissing1" in native.advice(["libmissing1"])
    monkeypatch.setattr(native.shutil, "which", lambda _: None)
    assert "libmissing.so.1" in native.advice(["libmissing1"])


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb is not installed")
def test_the_virtual_screen_ends_with_its_use(bootstrap):
    screen = bootstrap("screen")
    with screen.virtual_screen() as surroundings:
        socket = Path("/", "tmp", ".X11-unix", "X" + surroundings["DISPLAY"].removeprefix(":"))
        assert socket.exists()
    assert not socket.exists()
