"""Dictionaries of other tools: each file encodes and writes what its formula says in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_files import D_IN, D_SAE, SAELENS
from plain_other_files import OTHERS

import microtome as mt

CASES = SAELENS | OTHERS
ROWS = torch.randn(7, D_IN, generator=torch.Generator().manual_seed(1)) * 2


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_told_and_gives_what_its_formula_says(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    path = tmp_path / case.folder
    told = mt.inspect_dictionary(path)
    assert not told.problem
    assert case.note in " ".join(told.notes)
    held = told.identity
    assert (held.reads, held.writes, held.model) == (case.reads, case.writes, case.model)
    assert (held.d_in, held.d_sae) == (D_IN, D_SAE)
    assert told.nbytes == sum(each.stat().st_size for each in path.rglob("*") if each.is_file())

    one = mt.load_dictionary(path, **case.asked)
    assert one.architecture == case.architecture
    if "no threshold" not in name:
        assert held.architecture == case.architecture
    codes, written = case.formula(ROWS.double().numpy())
    assert 0 < (codes > 0).mean() < 1
    assert np.abs(one.encode(ROWS).numpy() - codes).max() < 1e-5
    assert np.abs(one.reconstruct(ROWS).numpy() - written).max() < 1e-5
    assert one.weights.w_dec.dtype == torch.float32
    assert one.identity.reads == case.reads
    assert held.source["format"] in str(one.identity.source)
