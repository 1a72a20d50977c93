"""The source tree as the architecture tests read it."""

from __future__ import annotations

import ast
import gc
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "microtome": ROOT / "core" / "microtome",
    "microtome_desktop": ROOT / "desktop" / "microtome_desktop",
    "microtome_resources": ROOT / "resources" / "microtome_resources",
}


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, its text, its syntax tree and all nodes of that."""

    path: Path
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


def parse(*folders: Path) -> list[Source]:
    gc.disable()  # trees are many objects, and all of them stay: looking for garbage is in vain
    try:
        return [_parsed(file) for folder in folders for file in sorted(folder.rglob("*.py"))]
    finally:
        gc.freeze()
        gc.enable()


@cache
def _parsed(file: Path) -> Source:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    return Source(file, text, tree, tuple(ast.walk(tree)))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    return PACKAGES


@pytest.fixture(scope="session")
def package_sources() -> list[Source]:
    """Every module of the three packages."""
    return parse(*PACKAGES.values())


@pytest.fixture(scope="session")
def shipped_sources() -> list[Source]:
    """The packages, the training scripts beside them and the set-up."""
    return parse(ROOT / "core", ROOT / "desktop", ROOT / "resources", ROOT / "packaging")


@pytest.fixture(scope="session")
def all_sources() -> list[Source]:
    """Every Python file of the project, tests included."""
    return parse(*(ROOT / name for name in ("core", "desktop", "resources", "packaging", "tests")))
