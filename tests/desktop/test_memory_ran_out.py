"""A run that memory does not suffice for: freed, told with sizes, and nothing else harmed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MB = 10**6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")
def test_runs_out_of_memory_leave_the_session_and_the_model(sample_llama):
    # The arrays that a run fills take 144.5 MB; its widest pass another 23 MB at one place.
    spares = (60 * MB, 165 * MB)
    child = [sys.executable, Path(__file__).with_name("starved.py"), sample_llama]
    done = subprocess.run(
        [*child, *map(str, spares)], capture_output=True, text=True, check=True, timeout=100
    )
    filling, passing = json.loads(done.stdout)
    assert filling["what"] == (
        "The activations of llama on 1200 tokens do not fit into memory: 144.5 MB more were "
        "needed at one place."
    )
    assert passing["what"] == (
        "Memory ran out while llama ran on 1200 tokens: 23.0 MB more were needed at one place."
    )
    for told in (filling, passing):
        assert told["title"] == "Running the prompt failed"
        assert "shorter prompt" in told["way_out"]
        assert told["left"] < 15 * MB
        assert told["kept"]
        assert told["same"]


@pytest.fixture
def sample_llama(tmp_path):
    """A folder with a small model that reads long prompts."""
    return sys.modules["tiny_models"].save(
        "llama", tmp_path / "llama", max_position_embeddings=4096
    )
