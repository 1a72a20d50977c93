"""Each hostile or broken file is refused with its reason or read soundly, and does nothing else."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile.corpus import CASES, Case
from hostile.watching import Watch

import microtome as mt
from microtome.errors import MicrotomeError
from microtome.images.decoder import Decoder
from microtome.prompt_sets import load_prompt_set
from microtome.session.verify import compare
from microtome.triage import server
from microtome.triage.examination import Examination
from microtome.triage.limits import MB

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks Linux what was opened and used"
)
MOST_SECONDS, MOST_MEMORY = 2.0, 256 * MB
_STATUS = Path("/proc/self/status")


def _session(path: Path) -> None:
    mt.open_session(path)
    compare(path)


def _dictionary(path: Path) -> None:
    load = mt.load_transcoders if (path / "config.yaml").exists() else mt.load_dictionary
    load = mt.load_transcoders if (path / "W_enc_0.safetensors").exists() else load
    load(path)


READERS: dict[str, Callable[[Path], object]] = {
    "session": _session,
    "model": mt.load_model,
    "dictionary": _dictionary,
    "graph": mt.read_graph,
    "prompts": load_prompt_set,
    "labels": lambda path: mt.read_labels(path, "0" * 64),
}


@pytest.fixture(scope="module", autouse=True)
def child() -> Iterator[None]:
    """One triage child for all files: each is looked at by a copy of it."""
    server.dismiss()
    yield
    server.dismiss()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as made:
        yield made


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What the copies of the child used."""
    found, finish = [], Examination.finish

    def told(self: Examination, *given: object) -> bool:
        try:
            return finish(self, *given)
        finally:
            found.append(self.used)

    monkeypatch.setattr(Examination, "finish", told)
    return found


def _in_use(key: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) << 10


def _said(case: Case, path: Path, decoder: Decoder) -> str | None:
    try:
        if case.kind == "image":
            decoder.decode(path.read_bytes(), case.name)
        else:
            READERS[case.kind](path)
    except MicrotomeError as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_there_are_many() -> None:
    assert len(CASES) >= 250
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hostile_file(
    case: Case, tmp_path_factory: pytest.TempPathFactory, decoder: Decoder, used: list
) -> None:
    root = tmp_path_factory.getbasetemp() / "hostile"
    folder, outside = (root / str(CASES.index(case)) / name for name in ("in", "out"))
    folder.mkdir(parents=True)
    outside.mkdir()
    path = case.make(folder, outside)
    _STATUS.with_name("clear_refs").write_text("5")  # the most memory in use, from now
    watch, before, begun = Watch(outside), _in_use("VmRSS"), time.process_time()
    said = _said(case, path, decoder)
    seconds = time.process_time() - begun
    assert not watch.opened()
    assert not (outside / "ran").exists()
    assert seconds <= MOST_SECONDS
    assert _in_use("VmHWM") - before <= MOST_MEMORY
    for copy in used:
        assert copy.get("seconds", 0) <= MOST_SECONDS
        assert copy.get("memory", 0) <= MOST_MEMORY
    assert "\n" not in (said or "")
    if case.said is None:
        assert said is None
    elif said is not None or case.said:
        assert said is not None, "it was read"
        assert re.search(case.said, said), said


def test_no_image_took_much_memory(decoder: Decoder) -> None:
    """What the child of images had at its most, all images of the corpus together."""
    status = Path(f"/proc/{decoder._child.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(line.split()[1]) << 10 <= MOST_MEMORY
