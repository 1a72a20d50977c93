"""The rows of a table of features beside the index that they are of."""

from __future__ import annotations

import indexed
import numpy as np
import pytest

from microtome_desktop.presenters.feature_table import feature_table


def test_a_table_says_the_same_as_its_index():
    analysis = indexed.index(50)
    table = feature_table(analysis)
    told = table.exported(np.array([7, 3]), {3: "three"})
    held = [dict(zip(told.headers, row, strict=True)) for row in told.rows]
    assert [row["feature"] for row in held] == [7, 3]
    assert held[1]["label"] == "three"
    assert held[0]["rate"] == pytest.approx(7 / 1_000)
    assert held[0]["mean"] == pytest.approx(2)
    assert held[0]["token"] == indexed.WORDS[analysis.array("token")[7, 0]]
