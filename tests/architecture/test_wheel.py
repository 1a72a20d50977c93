"""The wheel: what is in it, and what it does where only the engine's own dependencies are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Pillow's wheel has a libxcb of its own, whatever the machine has.
GRAPHICS = ("libGL", "libEGL", "libX11", "libxcb", "libQt6")
SESSION = """
import sys
from microtome.cli import main
assert main(["run", "--model", "induction-exact-tiny", "--prompt", "0,1,2,3,1", "--ids",
             "--out", sys.argv[1]]) == 0
assert main(["check", "induction-exact-tiny"]) == 0
print(open("/proc/self/maps").read())
"""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    sys.path.insert(0, str(root / "packaging"))
    try:
        import wheels
    finally:
        sys.path.pop(0)
    return wheels.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel, and nothing but what it says the engine needs."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.rglob("site-packages")
    for name in names_needed("microtome") - {"microtome"}:
        held = distribution(name)
        for top in {file.parts[0] for file in held.files or () if file.parts[0] != ".."}:
            if not (packages / top).exists() and top != "__pycache__":
                (packages / top).symlink_to(held.locate_file(top))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    install = [f"--python={place}", "install", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run([*pip, *install], check=True)
    return place / "bin"


def names_needed(name: str, found: set[str] | None = None) -> set[str]:
    """A distribution and all that it asks for without an extra."""
    found = set() if found is None else found
    found.add(name)
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        needed = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if needed and wanted.name not in found:
            names_needed(wanted.name, found)
    return found


def start(*command: object) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False,
        env={**kept, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_packages_are_in_it_with_all_their_files_and_nothing_else(wheel, packages):
    wanted = {
        file.relative_to(folder.parent).as_posix()
        for folder in packages.values()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == wanted
    assert {f"{name}/py.typed" for name in packages} <= names
    assert not [
        name for name in names if re.search(r"(^|/)(tests?|conftest\.py|test_\w+)(/|$)", name)
    ]


def test_what_it_says_of_itself_is_so(wheel, root):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
        told = BytesParser().parsebytes(archive.read(f"{info}/METADATA"))
        points = archive.read(f"{info}/entry_points.txt").decode()
    assert told["Requires-Python"] == ">=3.11"
    assert {"desktop", "parquet", "umap"} <= set(told.get_all("Provides-Extra"))
    assert f"{info}/licenses/LICENSE" in names
    targets = re.findall(r"= ([\w.]+):(\w+)", points)
    assert len(targets) == 3
    for module, function in targets:
        file = module.replace(".", "/")
        (source,) = {f"{file}.py", f"{file}/__init__.py"} & names
        with zipfile.ZipFile(wheel) as archive:
            assert f"\ndef {function}(" in archive.read(source).decode()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what Linux has mapped")
def test_the_engine_alone_works_without_any_graphics_library(installed, tmp_path):
    session = tmp_path / "alone.h5"
    ran = start(installed / "python", "-c", SESSION, session)
    assert ran.returncode == 0, ran.stderr
    assert "libtorch_cpu" in ran.stdout
    mapped = [line for line in ran.stdout.splitlines() if "/pillow.libs/" not in line]
    assert not [line for line in mapped for name in GRAPHICS if f"/{name}" in line]
    told = start(installed / "microtome", "info", session)
    assert told.returncode == 0, told.stderr
    assert "induction-exact-tiny" in told.stdout
    opened = start(installed / "microtome", session)
    assert opened.returncode == 2
    assert opened.stderr == (
        "microtome: The window needs PySide6, which is not installed. "
        "Install it with: pip install 'microtome[desktop]'.\n"
    )
