"""Programs that are killed while they edit a session, at random moments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from wal_sessions import rounds

SCRIPT = Path(__file__).with_name("killed.py")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_kill_leaves_the_last_acknowledged_edit_or_the_one_under_way(tmp_path):
    kills, seeds = rounds(5, 250), rounds(1, 4)
    seen = {"kills": 0, "acknowledged": 0, "cut off": 0, "asked": 0, "logs": 0}
    for seed in range(seeds):
        done = subprocess.run(
            [sys.executable, SCRIPT, tmp_path, str(kills), str(seed)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        seen = {name: seen[name] + count for name, count in json.loads(done.stdout).items()}
    sys.stdout.write(f"{seen}\n")
    assert seen["kills"] == kills * seeds
    assert seen["acknowledged"] > kills
    assert seen["logs"] > kills // 2
    assert seen["asked"]
