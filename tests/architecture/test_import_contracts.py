"""Every import contract holds, and breaks when a violation is planted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# contract id, the module that sins, the sin
PLANTED = [
    ("packages", "microtome/errors.py", "import microtome_desktop"),
    ("packages", "microtome_resources/__init__.py", "import microtome.errors"),
    ("core-without-toolkit", "microtome/jobs.py", "import PySide6.QtCore"),
    ("core-without-toolkit", "microtome/sites.py", "import pyqtgraph"),
    ("core-without-toolkit", "microtome/prompts.py", "from vispy import scene"),
    ("core-without-toolkit", "microtome/records/trace.py", "from psygnal import Signal"),
    ("core-layers", "microtome/errors.py", "import microtome.jobs"),
    ("core-layers", "microtome/sites.py", "import microtome.prompts"),
    ("core-layers", "microtome/records/trace.py", "import microtome.models.loading"),
    ("core-layers", "microtome/unplaced/__init__.py", "import microtome.errors"),
    ("desktop-layers", "microtome_desktop/state/selection.py", "import microtome_desktop.views"),
    ("desktop-layers", "microtome_desktop/views/panel.py", "import microtome_desktop.application"),
    ("desktop-layers", "microtome_desktop/unplaced.py", "import microtome_desktop.state"),
    ("facade", "microtome/session/reader.py", "from microtome import trace"),
    ("state-without-toolkit", "microtome_desktop/state/selection.py", "import PySide6.QtCore"),
    ("state-without-toolkit", "microtome_desktop/presenters/planted.py", "import pyqtgraph"),
    ("state-without-toolkit", "microtome_desktop/commands/planted.py", "import superqt"),
    ("one-hdf5", "microtome/analysis/lens.py", "import h5py"),
    ("one-hdf5", "microtome_desktop/presenters/planted.py", "import h5py"),
    ("one-transformers", "microtome/circuits/component.py", "from transformers import AutoModel"),
    ("desktop-without-torch", "microtome_desktop/views/panel.py", "import torch"),
    ("desktop-without-torch", "microtome_desktop/presenters/planted.py", "import torch.nn"),
    ("review-without-torch", "microtome/records/trace.py", "import torch"),
    ("review-without-torch", "microtome/errors.py", "import transformers"),
]


@pytest.fixture
def tree(tmp_path: Path, root: Path, packages: dict[str, Path]) -> Path:
    """Return a copy of the packages' source, side by side, with the contracts."""
    only_source = shutil.ignore_patterns("__pycache__", "models", "prompts", "*.png", "*.h5")
    for name, folder in packages.items():
        ignore = only_source if name == "microtome_resources" else None
        shutil.copytree(folder, tmp_path / name, ignore=ignore)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [f"--contract={contract}" for contract in contracts]
    entry = "from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", entry, "--no-cache", "--no-logo", *chosen],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_contracts_are_kept(tree):
    outcome = lint(tree)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


@pytest.mark.parametrize(("contract", "module", "sin"), PLANTED)
def test_a_planted_violation_breaks_its_contract(tree, contract, module, sin):
    file = tree / module
    file.parent.mkdir(exist_ok=True)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(f"{before}\n{sin}\n", encoding="utf-8")
    outcome = lint(tree, contract)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "0 kept, 1 broken" in outcome.stdout
    assert module.removesuffix(".py").removesuffix("/__init__").replace("/", ".") in outcome.stdout


def test_every_contract_has_a_planted_violation(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in PLANTED}
