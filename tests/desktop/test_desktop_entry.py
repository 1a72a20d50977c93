"""The program among the applications of a desktop: entry, icon, and the type of sessions."""

from __future__ import annotations

import configparser
import json
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtGui import QImage

from microtome.cli import main
from microtome.session.writer import save_session
from microtome_resources import icon_paths, share_path

SESSION = "application/x-microtome-session"
# Asks Qt, which reads the same files as desktops do: of each file the type by its contents and by
# its name alone; and what a window tells a desktop of itself.
ASKED = """
import json, sys
from PySide6.QtCore import QMimeDatabase
from microtome_desktop.application import make_application
application = make_application([])
database = QMimeDatabase()
by_name = QMimeDatabase.MatchMode.MatchExtension
sizes = [size.width() for size in application.windowIcon().availableSizes()]
print(json.dumps([
    {name: [database.mimeTypeForFile(name).name(), database.mimeTypeForFile(name, by_name).name()]
     for name in sys.argv[1:]},
    application.desktopFileName(), sizes,
]))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def entry_of(folder):
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read(folder / "applications" / "microtome.desktop", "utf-8")
    return parser["Desktop Entry"]


def files(folder):
    return {path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file()}


def test_entry_type_and_icon_belong_together():
    entry = entry_of(share_path())
    assert entry["Type"] == "Application"
    assert entry["Name"] == "Microtome"
    assert entry["Exec"].split() == ["microtome", "%f"]
    for key in ("Categories", "Keywords", "MimeType"):
        assert entry[key].endswith(";")
    assert entry["MimeType"] == f"{SESSION};"
    tree = ET.parse(share_path() / "mime" / "packages" / "microtome.xml")  # noqa: S314  ours
    (kind,) = tree.getroot()
    assert kind.get("type") == SESSION
    for path in icon_paths():
        assert path.stem == entry["Icon"]
        folder = path.parts[-3]
        image = QImage(str(path))
        assert f"{image.width()}x{image.height()}" == folder
        assert image.pixelColor(0, 0).alpha() == 0
        assert image.pixelColor(image.width() // 2, image.height() // 4).alpha() == 255
    assert (share_path() / "icons/hicolor/scalable/apps/microtome.svg").is_file()


def test_what_is_installed_goes_again(home, capsys):
    assert main(["desktop-entry", "--install"]) == 0
    assert str(home) in capsys.readouterr().out
    assert files(share_path()) <= files(home)
    program = Path(shlex.split(entry_of(home)["Exec"])[0])
    assert program.is_absolute()
    assert main(["desktop-entry", "--uninstall"]) == 0
    assert not files(share_path()) & files(home)
    assert main(["desktop-entry", "--uninstall"]) == 0


def test_a_package_has_it_below_its_prefix(tmp_path):
    assert main(["desktop-entry", "--install", "--prefix", str(tmp_path / "usr")]) == 0
    assert files(tmp_path / "usr" / "share") == files(share_path())
    assert entry_of(tmp_path / "usr" / "share") == entry_of(share_path())


@pytest.mark.parametrize(
    ("program", "written"),
    [
        ("/opt/microtome/microtome", "/opt/microtome/microtome"),
        ("/opt/my programs/microtome", '"/opt/my programs/microtome"'),
        ("/opt/100%/microtome", '"/opt/100%%/microtome"'),
        ('/opt/a"b$c/microtome', r'"/opt/a\\"b\\$c/microtome"'),
    ],
)
def test_any_place_of_the_program_can_be_started(home, monkeypatch, program, written):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", program)
    assert main(["desktop-entry", "--install"]) == 0
    assert entry_of(home)["Exec"] == f"{written} %f"


def test_a_place_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "usr").write_text("a file")
    assert main(["desktop-entry", "--install", "--prefix", str(tmp_path / "usr")]) == 2
    assert "--prefix" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for a type as Linux does")
def test_sessions_are_known_by_their_contents_and_other_files_are_left_alone(
    home, tmp_path, sample_session
):
    main(["desktop-entry", "--install"])
    samples = sorted((Path(__file__).parents[1] / "core" / "samples").glob("*.h5"))
    sessions = [save_session(tmp_path / "own.h5", sample_session), *samples]
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        for name in ("prompt", "layer", "query"):
            file[name] = np.arange(9)
    asked = [sys.executable, "-c", ASKED, *map(str, [*sessions, other])]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    kinds, name, sizes = json.loads(done.stdout)
    theirs = kinds.pop(str(other))
    assert theirs == [theirs[1]] * 2
    assert theirs[0] != SESSION
    # The name alone, which many programs give, makes no session.
    assert set(map(tuple, kinds.values())) == {(SESSION, theirs[1])}
    assert len(kinds) >= 7
    assert name == "microtome"
    assert {16, 48, 256} <= set(sizes)
