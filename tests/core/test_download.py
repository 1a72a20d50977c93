"""Models of the hub: what would be fetched, transfers that break, resume, stop and are checked."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

import microtome_resources as resources
from microtome import cli
from microtome.errors import (
    Cancelled,
    ModelDamaged,
    ModelNotFound,
    Offline,
    StorageError,
    UnsafeModel,
)
from microtome.jobs import Job
from microtome.models import download
from microtome.models.download import fetch, look_up
from microtome.models.hub import cached
from microtome.models.loading import load_model

NAME, WEIGHTS = "owner/model", "model.safetensors"
NEVER = {
    "pytorch_model.bin": b"pickle",
    "modeling.py": b"import os",
    "README.md": b"# model",
    "consolidated.safetensors": b"the same again",
    "onnx/config.json": b"{}",
    "onnx/model.safetensors": b"the same again",
}


@pytest.fixture(scope="module")
def files():
    found = resources.embedded_model("words-4l")
    held = {path.name: path.read_bytes() for path in found.folder.iterdir() if path.is_file()}
    return held | {WEIGHTS: found.weights.read_bytes()}


@pytest.fixture
def hub(local_hub, files):
    local_hub.models[NAME] = files | NEVER
    return local_hub


def wanted(files):
    return {name for name in files if name.endswith((".json", ".txt")) or name == WEIGHTS}


def test_what_would_be_fetched_is_told_and_nothing_is(hub, files, tmp_path):
    plan = look_up(NAME)
    assert {file.name for file in plan.files} == wanted(files)
    assert plan.total == plan.missing == sum(len(files[name]) for name in wanted(files))
    assert plan.here == 0
    assert plan.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert str(plan.folder) in str(plan)
    assert hub.requests == []
    assert cached(NAME) is None
    assert not (tmp_path / "hub").exists()


def test_a_model_is_fetched_with_its_bytes_counted_and_opens_without_the_network(hub, files):
    seen, parts = [], {}
    job = Job(seen.append, parts.__setitem__)
    model = load_model(NAME, allow_download=True, job=job)
    assert model.identity.name == NAME
    assert {name for name, _ in hub.requests} == wanted(files)
    assert parts["download"].total == sum(len(files[name]) for name in wanted(files))
    bytes_done = [each.done for each in seen if each.title == f"Downloading {NAME}"]
    assert bytes_done == sorted(bytes_done)
    assert bytes_done[-1] == parts["download"].total
    hub.requests.clear()
    again = load_model(NAME)
    assert again.identity.fingerprint == model.identity.fingerprint
    assert hub.requests == []


def test_a_broken_transfer_is_taken_up_where_it_broke(hub, files):
    half = 1 << 20
    hub.cut = half
    fetch(look_up(NAME), Job())  # every connection breaks after a mebibyte
    starts = hub.fetched(WEIGHTS)
    assert starts == list(range(0, len(files[WEIGHTS]), half))
    assert cached(NAME) is not None


def test_what_came_before_a_dead_network_is_kept(hub, files):
    def die():
        if hub.fetched(WEIGHTS):
            hub.cut = 1 << 20 if len(hub.fetched(WEIGHTS)) == 1 else 0

    hub.before_block = die
    with pytest.raises(Offline, match=r"could not be reached.*kept"):
        fetch(look_up(NAME), Job())
    assert cached(NAME) is None
    with pytest.raises(Offline, match="not on this computer"):
        load_model(NAME)
    hub.before_block, hub.cut = (lambda: None), None
    plan = look_up(NAME)
    assert plan.here >= 1 << 20
    hub.requests.clear()
    fetch(plan, Job())
    assert hub.fetched(WEIGHTS) == [1 << 20]
    assert load_model(NAME).identity.name == NAME


def test_a_stop_acts_at_the_next_block_and_is_no_loss(hub):
    job, blocks, plan = Job(), [], look_up(NAME)
    blob = next(file.blob for file in plan.files if file.name == WEIGHTS)
    part = plan.folder / "blobs" / f"{blob}.incomplete"

    def stop():
        blocks.extend(hub.fetched(WEIGHTS))
        if len(blocks) == 7:  # a mebibyte and a half was sent
            while part.stat().st_size < 1 << 20:
                threading.Event().wait(0.005)
            job.cancel()

    hub.before_block = stop
    with pytest.raises(Cancelled):
        fetch(plan, job)
    assert cached(NAME) is None
    assert 0 < part.stat().st_size < len(hub.models[NAME][WEIGHTS])
    start = part.stat().st_size
    hub.requests.clear()
    fetch(look_up(NAME), Job())
    assert hub.fetched(WEIGHTS) == [start]
    assert not part.exists()


def test_a_hub_that_cannot_begin_in_the_middle_begins_again(hub, files):
    plan = look_up(NAME)
    (plan.folder / "blobs").mkdir(parents=True)
    blob = next(file.blob for file in plan.files if file.name == WEIGHTS)
    (plan.folder / "blobs" / f"{blob}.incomplete").write_bytes(b"x" * 1000)
    hub.ranges = False
    found = fetch(look_up(NAME), Job())
    assert (found / WEIGHTS).read_bytes() == files[WEIGHTS]


def test_bytes_that_are_not_what_the_hub_announced_are_refused(hub):
    plan = look_up(NAME)
    (plan.folder / "blobs").mkdir(parents=True)
    blob = next(file.blob for file in plan.files if file.name == WEIGHTS)
    part = plan.folder / "blobs" / f"{blob}.incomplete"
    part.write_bytes(b"x" * 1000)  # the rest follows, but this beginning is another file's
    with pytest.raises(StorageError, match="is not what the hub says"):
        fetch(look_up(NAME), Job())
    assert not part.exists()
    assert cached(NAME) is None
    fetch(look_up(NAME), Job())
    assert cached(NAME) is not None


def test_shards_and_their_index(local_hub, files):
    shards = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 10 for n in (1, 2)}
    index = {"model.safetensors.index.json": b"{}"}
    local_hub.models[NAME] = {"config.json": b"{}", **shards, **index, "x.safetensors": b"1"}
    assert {file.name for file in look_up(NAME).files} == {"config.json", *shards, *index}


@pytest.mark.parametrize(
    ("held", "error", "said"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, UnsafeModel, "pytorch_model.bin"),
        ({"config.json": b"{}"}, ModelDamaged, "holds no model.safetensors"),
        (None, ModelNotFound, "has no model owner/model"),
    ],
)
def test_what_cannot_be_opened_is_said_before_the_download(local_hub, held, error, said):
    if held is not None:
        local_hub.models[NAME] = held
    with pytest.raises(error, match=said):
        load_model(NAME, allow_download=True)
    assert local_hub.requests == []


def test_a_model_that_is_given_to_some_only(hub):
    hub.gated.add(NAME)
    with pytest.raises(ModelNotFound, match=r"granted access.*Ask for access"):
        look_up(NAME)


def test_no_network(hub, monkeypatch):
    hub.close()
    with pytest.raises(Offline, match=r"could not be reached.*Check the network"):
        look_up(NAME)


def test_too_small_a_disk_is_said_before_the_transfer(hub, monkeypatch):
    with pytest.raises(StorageError, match=r"has 1.0 MB free.*HF_HOME"):
        fetch(replace(look_up(NAME), free=10**6), Job())
    assert hub.requests == []


def test_a_disk_that_fills_up(hub, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_stream", full)
    with pytest.raises(StorageError, match=r"the disk is full.*Free some space"):
        fetch(look_up(NAME), Job())


def test_the_command_line_prints_size_and_destination_first(hub, capsys):
    status = cli.main(["check", NAME, "--download", "--json"])
    told = capsys.readouterr()
    assert status == 0
    assert told.err.startswith(f"Downloading {NAME}: ")
    assert "MB in" in told.err
    assert "models--owner--model" in told.err
    assert told.out.startswith("{")


def test_the_library_of_the_hub_tells_nobody_what_is_used():
    """Asked of a fresh process: the library looks once, when it is imported."""
    imported = "import microtome.models.hub; from huggingface_hub import constants"
    asked = f"{imported}; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
