"""What a model takes is said from its headers, and refused before it is read."""

from __future__ import annotations

import pytest
import torch

import microtome as mt
from microtome.errors import MemoryExceeded
from microtome.jobs import Job
from microtome.models import loading
from microtome.models.arithmetic import anatomy_in
from microtome.records import memory
from microtome.records.memory import memory_tip


@pytest.fixture
def free(monkeypatch):
    """``free(n)``: a machine that has n bytes left."""
    return lambda count: monkeypatch.setattr(loading, "free_memory", lambda: count)


def test_weights_that_cannot_fit_are_refused_with_the_format_that_would(tiny_folder, free):
    folder = tiny_folder("llama")
    needed = mt.load_model(folder).memory.weights
    free(needed - 1)
    with pytest.raises(MemoryExceeded, match=r"take .* kB in float32, but .* are free") as caught:
        mt.load_model(folder)
    assert "Choose bfloat16" in caught.value.way_out
    assert mt.load_model(folder, dtype="bfloat16").memory.fits
    free(needed // 2 - 1)
    with pytest.raises(MemoryExceeded, match="smaller model"):
        mt.load_model(folder)


def test_the_need_is_that_of_the_weights_as_they_are_held(tiny_folder, free):
    free(None)
    full, half = (mt.load_model(tiny_folder("llama"), dtype=t) for t in ("float32", "bfloat16"))
    held = sum(weight.nbytes for weight in half.module.parameters())
    assert half.memory.weights == held
    assert (full.memory.weights, full.memory.circuit) == (2 * held, 0)
    assert half.memory.circuit == 2 * held
    assert half.memory.fits
    assert "a circuit takes another" in memory_tip(half.memory)
    assert "free" not in memory_tip(half.memory)


def test_it_is_announced_before_the_weights_are_read(tiny_folder, free):
    free(3 * 10**9)
    told = []
    job = Job(on_progress=lambda progress: told.append(progress.title))
    mt.load_model(tiny_folder("gpt2"), job=job)
    assert any(title.endswith(" of weights, 3.00 GB are free") for title in told)


def test_a_limit_of_the_group_of_processes_counts(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free_memory() == 8000 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert memory.free_memory() == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory() == 8000 * 1024
    (tmp_path / "meminfo").unlink()
    assert memory.free_memory() is None


def test_tied_embeddings_are_widened_once(tiny_model):
    tied = anatomy_in(tiny_model("gemma", dtype="bfloat16").anatomy, torch.float32)
    assert tied.unembedding.data_ptr() == tied.embedding.data_ptr()
    untied = anatomy_in(tiny_model("llama", dtype="bfloat16").anatomy, torch.float32)
    assert untied.unembedding.data_ptr() != untied.embedding.data_ptr()
