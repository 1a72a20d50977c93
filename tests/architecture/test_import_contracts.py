"""Every import contract holds, and breaks when a violation is planted."""

from __future__ import annotations

import json
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
    ("one-pillow", "microtome_desktop/views/panel.py", "from PIL import Image"),
]


# Given rows of contract, module and sin: commits one sin after another in the copy of the packages
# that it is started in, and tells the exit status and the words of the linter for each.
CHILD = """
import contextlib, io, json, sys
from pathlib import Path
from importlinter.cli import lint_imports_command as lint

def linted(*contracts):
    said = io.StringIO()
    chosen = [f"--contract={contract}" for contract in contracts]
    with contextlib.redirect_stdout(said):
        try:
            lint(["--no-cache", "--no-logo", *chosen], standalone_mode=False)
            status = 0
        except SystemExit as end:
            status = end.code
    return [int(status or 0), said.getvalue()]

def planted(contract, module, sin):
    file = Path(module)
    file.parent.mkdir(exist_ok=True)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.write_text((before or "") + "\\n" + sin + "\\n", encoding="utf-8")
    found = linted(contract)
    if before is None:
        file.unlink()
    else:
        file.write_text(before, encoding="utf-8")
    return found

print(json.dumps([linted(), *(planted(*row) for row in json.loads(sys.argv[1])), linted()]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, root: Path, packages: dict[str, Path]) -> list[tuple[int, str]]:
    """What the linter says of a copy of the packages: as it is, after each sin, and at last."""
    tree = tmp_path_factory.mktemp("tree")
    only_source = shutil.ignore_patterns("__pycache__", "models", "prompts", "*.png", "*.h5")
    for name, folder in packages.items():
        ignore = only_source if name == "microtome_resources" else None
        shutil.copytree(folder, tree / name, ignore=ignore)
    shutil.copy(root / "pyproject.toml", tree)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(PLANTED)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [(status, said) for status, said in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.parametrize("at", [0, -1], ids=["before", "after"])
def test_all_contracts_are_kept(outcomes, at):
    status, said = outcomes[at]
    assert status == 0, said
    assert "0 broken" in said


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=[f"{c}-{m}" for c, m, _ in PLANTED])
def test_a_planted_violation_breaks_its_contract(outcomes, number):
    _, module, _ = PLANTED[number]
    status, said = outcomes[1 + number]
    assert status == 1, said
    assert "0 kept, 1 broken" in said
    assert module.removesuffix(".py").removesuffix("/__init__").replace("/", ".") in said


def test_every_contract_has_a_planted_violation(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in PLANTED}
