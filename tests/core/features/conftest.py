"""Helpers of the tests of sparse dictionaries: every ``plain_….py`` beside this file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# importlib mode puts no test folder on the path.
for _path in sorted(Path(__file__).parent.glob("plain_*.py")):
    _spec = importlib.util.spec_from_file_location(_path.stem, _path)
    assert _spec
    assert _spec.loader
    sys.modules[_path.stem] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_path.stem])
