"""What is remembered between starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from microtome_desktop.state.settings import MemoryStore, Settings
from microtome_desktop.wiring import settings_store


@pytest.fixture(params=["memory", "ini"])
def reopened(request, tmp_path):
    """Return a function that gives the settings as a new start would find them."""
    memory, path = MemoryStore(), str(tmp_path / "m.ini")

    def reopen():
        if request.param == "memory":
            return Settings(memory)
        return Settings(QSettings(path, QSettings.Format.IniFormat))

    return reopen


def test_recent_files_come_back_newest_first_without_doubles(reopened, tmp_path):
    settings = reopened()
    for name in ("a.h5", "b, c.h5", "a.h5"):
        settings.remember_session(tmp_path / name)
    assert reopened().recent_sessions == (tmp_path / "a.h5", tmp_path / "b, c.h5")


def test_a_single_recent_file_stays_a_list(reopened, tmp_path):
    reopened().remember_model("folder")
    assert reopened().recent_models == ("folder",)


def test_eight_are_kept(reopened):
    for number in range(12):
        reopened().remember_model(f"m{number}")
    assert reopened().recent_models == tuple(f"m{n}" for n in range(11, 3, -1))


def test_a_file_that_is_gone_is_forgotten(reopened, tmp_path):
    reopened().remember_session(tmp_path / "a.h5")
    reopened().forget_session(tmp_path / "a.h5")
    assert reopened().recent_sessions == ()


def test_device_and_folder(reopened):
    settings = reopened()
    assert (settings.device, settings.folder) == ("cpu", "")
    settings.device, settings.folder = "cuda:1", "somewhere"
    again = reopened()
    assert (again.device, again.folder) == ("cuda:1", "somewhere")


@pytest.mark.parametrize("held", ["nonsense", "{", "3", None])
def test_an_edited_file_does_no_harm(held):
    store = MemoryStore()
    store.setValue("recent/sessions", held)
    assert Settings(store).recent_sessions == ()


def test_listeners_hear_of_recent_files():
    settings, heard = Settings(MemoryStore()), []
    settings.recent_changed.connect(lambda: heard.append(1))
    settings.remember_model("m")
    assert heard == [1]


def test_the_file_lies_where_it_is_told(settings_folder):
    assert Path(settings_store().fileName()) == settings_folder / "microtome.ini"


def test_the_file_lies_in_the_configuration_folder(settings_folder, monkeypatch, qapp):
    monkeypatch.delenv("MICROTOME_SETTINGS")
    assert Path(settings_store().fileName()).name == "microtome.ini"
