"""What the tree must look like for imports, packaging and people to find their way."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

TEXT = {".py", ".md", ".toml", ".txt", ".json", ".desktop", ".spec", ".sh", ""}
FOLDERS = (".ci", "core", "desktop", "docs", "packaging", "resources", "tests")
# Written so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.}~-])/(?:[w]ork|[r]oot|[h]ome/\w+|[t]mp|[U]sers/\w+)/")
REGISTRIES = re.compile(
    r"py[p]i\.org|python[h]osted|download\.py[t]orch|ana[c]onda\.org|--hash[=]", re.IGNORECASE
)


def tracked_text(root: Path) -> list[Path]:
    inside = [file for folder in FOLDERS for file in (root / folder).rglob("*")]
    files = [*root.iterdir(), *inside]
    return [
        file
        for file in files
        if file.is_file() and file.suffix in TEXT and "__pycache__" not in file.parts
        if file.name != ".git"
    ]


def runs_on_import(node: ast.stmt) -> bool:
    """Return whether `node` imports more than the standard library when its module loads."""
    if isinstance(node, ast.ImportFrom):
        roots = {(node.module or "").partition(".")[0]} if not node.level else {"."}
    elif isinstance(node, ast.Import):
        roots = {alias.name.partition(".")[0] for alias in node.names}
    else:
        return False
    return bool(roots - sys.stdlib_module_names)


def test_every_init_is_empty_or_lazy(package_sources):
    loading = [
        f"{source.name}:{node.lineno}"
        for source in package_sources
        if source.path.name == "__init__.py"
        for node in source.tree.body
        if runs_on_import(node)
    ]
    assert not loading


def test_every_package_is_typed(packages):
    assert not [name for name, folder in packages.items() if not (folder / "py.typed").exists()]


@pytest.mark.parametrize("folder", ["packaging", "tests"])
def test_these_folders_are_no_packages(root, folder):
    """An __init__.py in packaging/ would hide the library of that name."""
    assert not list((root / folder).rglob("__init__.py"))


def test_test_files_have_names_of_their_own(root):
    names = [file.name for file in (root / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRIES], ids=["paths", "registries"])
def test_no_file_names_a_machine(root, pattern):
    found = {
        file.relative_to(root).as_posix(): match[0]
        for file in tracked_text(root)
        if (match := pattern.search(file.read_text(encoding="utf-8")))
    }
    assert not found


def test_constraints_are_names_and_versions(root):
    lines = (root / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert not [
        line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)
    ]


def test_contributing_is_short(root):
    assert len((root / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) < 60


def test_protocols_can_be_checked_at_run_time(package_sources):
    """The shape checks of the tests cannot look at a Protocol that is not."""
    unmarked = [
        f"{source.name}:{node.lineno} {node.name}"
        for source in package_sources
        if source.name.startswith("core/")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        and "runtime_checkable" not in [ast.unparse(mark) for mark in node.decorator_list]
    ]
    assert not unmarked
