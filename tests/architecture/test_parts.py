"""`make test` runs every test once, in parts that need no list kept by hand."""

from __future__ import annotations

import importlib
import json
import sys
from fnmatch import fnmatch

import pytest

# Stands for the plug-in that checks shapes, which takes seconds to load.
OPTION = "def pytest_addoption(parser):\n    parser.addoption('--jaxtyping-packages')\n"
FAILING = "def test_fails():\n    assert False, 'the engine is broken'\n"


@pytest.fixture
def module(root, monkeypatch):
    """Return a way to import the set-up's own modules."""
    monkeypatch.syspath_prepend(str(root / "packaging"))
    return importlib.import_module


def _test_files(root, pytestconfig):
    """What pytest would collect, without the measurements."""
    patterns = pytestconfig.getini("python_files")
    return sorted(
        str(file)
        for file in (root / "tests").glob("**/*.py")
        if file.parent.name != "benchmarks" and any(fnmatch(file.name, each) for each in patterns)
    )


def test_every_test_file_is_in_exactly_one_part(module, root, pytestconfig):
    made = module("parts").parts(root)
    run = sorted(str(file) for part in made for file in part.files)
    assert run == _test_files(root, pytestconfig)
    checked = [part for part in made if part.options == ()]
    assert all((root / "tests" / "core") in file.parents for part in checked for file in part.files)


def test_what_goes_without_shape_checks_is_there(module, root):
    parts = module("parts")
    assert {
        file.relative_to(root / "tests").as_posix() for file in parts.expected(root)
    } >= parts.UNCHECKED
    (checked,) = [part for part in parts.parts(root) if part.options == ()]
    assert root / "tests/core/test_trace.py" in checked.files  # every site of every family


def test_a_new_folder_of_tests_is_found(module, tmp_path, pytestconfig):
    for name in ("core/test_a.py", "desktop/test_b.py", "desktop/new/test_c.py", "new/test_d.py"):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("pass\n")
    made = module("parts").parts(tmp_path)
    assert sorted(str(file) for part in made for file in part.files) == _test_files(
        tmp_path, pytestconfig
    )


def test_parts_of_one_kind_are_of_about_one_length(module, root):
    made, lengths = {}, module("parts").expected(root)
    for part in module("parts").parts(root):
        kind = part.name.rstrip(" 12")
        made.setdefault(kind, []).append(sum(lengths[file] for file in part.files))
    assert list(made) == ["window", "plain engine", "engine"]
    assert len(made["window"]) == 2
    assert all(max(each) < 1.02 * min(each) for each in made.values())


def test_recorded_seconds_count_and_bytes_where_there_are_none(module, tmp_path):
    parts = module("parts")
    (tmp_path / "tests" / "desktop").mkdir(parents=True)
    (tmp_path / "packaging").mkdir()
    files = [tmp_path / "tests" / "desktop" / f"test_{name}.py" for name in "abc"]
    for file, size in zip(files, (10, 10, 30), strict=True):
        file.write_text("#" * size)
    assert parts.expected(tmp_path) == dict(zip(files, (10, 10, 30), strict=True))
    reports = [tmp_path / "1.xml", tmp_path / "2.xml"]
    for report, name, seconds in zip(reports, "ab", (3, 1), strict=True):
        case = f'<testcase classname="tests.desktop.test_{name}" name="test" time="{seconds}"/>'
        report.write_text(f"<testsuites><testsuite>{case}{case}</testsuite></testsuites>")
    parts.record(tmp_path, reports)
    assert parts.expected(tmp_path) == dict(zip(files, (6, 2, 12), strict=True))
    assert [[file.name for file in part.files] for part in parts.parts(tmp_path)] == [
        ["test_c.py"], ["test_a.py", "test_b.py"],
    ]  # fmt: skip


def test_each_part_is_printed_whole_and_the_worst_status_returned(
    module, tmp_path, monkeypatch, capsys
):
    tasks = module("tasks")
    monkeypatch.setattr(tasks.environment, "ROOT", tmp_path)
    monkeypatch.setattr(tasks.environment, "PYTHON", sys.executable)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for folder, text in (("core", FAILING), ("desktop", "def test_passes():\n    pass\n")):
        file = tmp_path / "tests" / folder / f"test_{folder}.py"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    (tmp_path / "tests" / "conftest.py").write_text(OPTION)
    (tmp_path / "packaging").mkdir()
    assert tasks.test(["--timed"]) == 1
    window, engine = capsys.readouterr().out.split("test session starts")[1:]
    assert "1 passed" in window
    assert "the engine is broken" in engine
    assert "1 failed" in engine
    assert set(json.loads((tmp_path / "packaging" / "seconds.json").read_text())) == {
        "tests/core/test_core.py", "tests/desktop/test_desktop.py"
    }  # fmt: skip
    caches = sorted(each.stem for each in (tmp_path / ".pytest_cache").glob("*.xml"))
    assert caches == ["engine-1", "window-1"]
