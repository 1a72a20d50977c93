"""What the measurements of sweeps share: models, questions, the least work, the peer's process."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers

VOCABULARY, WIDTH, LAYERS, HEADS = 50_257, 768, 12, 12
STRONGER = 4  # at the start of training patches would move nothing
PEER = "MICROTOME_PEER_PYTHON"

CONFIGS = {
    "gpt2": lambda layers: transformers.GPT2Config(n_layer=layers),
    "llama": lambda layers: transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=2048,
        num_hidden_layers=layers, num_attention_heads=HEADS, num_key_value_heads=4,
        max_position_embeddings=1024,
    ),
}  # fmt: skip


def save_model(family: str, folder: Path, layers: int = LAYERS) -> Path:
    """A random model of GPT-2 small's shape; matrices so large that attention chooses."""
    torch.manual_seed(0)
    module = transformers.AutoModelForCausalLM.from_config(CONFIGS[family](layers))
    blocks = module.transformer.h if family == "gpt2" else module.model.layers
    with torch.no_grad():
        for weight in blocks.parameters():
            weight.mul_(STRONGER if weight.dim() == 2 else 1)
    module.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Question:
    """Two prompts that differ in one token, and two words to tell apart behind them."""

    clean: tuple[int, ...]
    corrupt: tuple[int, ...]
    first: int  # where they differ
    answer: int
    wrong: int

    @classmethod
    def of(cls, tokens: int) -> Question:
        """The same one for the same number of tokens; they differ at 10 of 16, 40 of 64."""
        generator = np.random.default_rng(tokens)
        clean = generator.integers(0, VOCABULARY, tokens).tolist()
        first = 5 * tokens // 8
        answer, wrong, other = generator.integers(0, VOCABULARY, 3).tolist()
        return cls(tuple(clean), (*clean[:first], other, *clean[first + 1 :]), first, answer, wrong)


# ---------------------------------------------------------------------- the least work


@dataclass(frozen=True)
class Floor:
    """Floating-point operations that the packed design cannot do without, of one model's shape.

    Counted are the products of matrices for the rows that an edit can reach, attention over the
    keys before each query, and of the last layer one row of queries; not the two base runs, the
    norms and the activation functions.
    """

    tokens: int
    key_heads: int = HEADS
    mlp: int = 2 * 2 * WIDTH * 4 * WIDTH  # of one row
    depth: int = LAYERS

    @classmethod
    def of(cls, family: str, tokens: int) -> Floor:
        if family == "gpt2":
            return cls(tokens)
        return cls(tokens, 4, 3 * 2 * WIDTH * 2048)

    @property
    def square(self) -> int:
        """The queries of one row, and as much again its attention output."""
        return 2 * WIDTH * WIDTH

    @property
    def keys(self) -> int:
        """Keys and values of one row."""
        return 2 * self.square * self.key_heads // HEADS

    def attention(self, start: int) -> int:
        """Scores and mixture of all queries from a position on."""
        return 4 * WIDTH * sum(range(start + 1, self.tokens + 1))

    def layers(self, layer: int, start: int) -> int:
        """All that is behind the input of a layer, changed from a position on."""
        if layer >= self.depth:
            return 0
        rows = self.tokens - start
        row = 2 * self.square + self.keys + self.mlp
        between = rows * row + self.attention(start)
        last = rows * self.keys + 2 * self.square + self.attention(self.tokens - 1) + self.mlp
        return (self.depth - 1 - layer) * between + last

    def stream(self, layer: int, position: int) -> int:
        """A change of one row at the input of a layer."""
        if layer >= self.depth:
            return 0
        rows = self.tokens - position if layer < self.depth - 1 else 1
        unchanged = rows - 1 if layer < self.depth - 1 else self.tokens - position - 1
        saved = unchanged * (self.keys + (self.square if layer < self.depth - 1 else 0))
        return self.layers(layer, position) - saved

    def head(self, layer: int, start: int) -> int:
        """A change of a head's output at all positions from one on."""
        rows = self.tokens - start if layer < self.depth - 1 else 1
        return rows * (self.square // HEADS + self.mlp) + self.layers(layer + 1, start)

    def head_at(self, layer: int, position: int) -> int:
        """A change of a head's output at one position."""
        if layer == self.depth - 1 and position < self.tokens - 1:
            return 0
        return self.square // HEADS + self.mlp + self.stream(layer + 1, position)

    def sweep(self, name: str, *, first: int | None = None) -> float:
        """All cells of a sweep; with ``first`` only those that the prompts' difference reaches."""
        start = first or 0
        layers, positions = range(self.depth), range(start, self.tokens)
        if name == "z":
            return HEADS * sum(self.head(layer, start) for layer in layers)
        if name == "z by position":
            return HEADS * sum(self.head_at(layer, at) for layer in layers for at in positions)
        nothing = [] if first is None else [(0, at) for at in positions if at != first]
        cells = [(layer, at) for layer in layers for at in positions]
        return sum(self.stream(*cell) for cell in cells if cell not in nothing)


def matmul_rate(rows: int = 2048, seconds: float = 0.3) -> float:
    """The best rate of a matrix product of the model's shapes now, in GFLOP per CPU second."""
    x, wide = torch.randn(rows, WIDTH), torch.randn(rows, 4 * WIDTH)
    up, down = torch.randn(WIDTH, 4 * WIDTH), torch.randn(4 * WIDTH, WIDTH)
    works = [
        lambda: torch.mm(x, up, out=wide),
        lambda: torch.mm(x, down.T, out=wide),
        lambda: torch.mm(wide, down, out=x),
        lambda: torch.mm(wide, up.T, out=x),
    ]
    return max(_rate(work, 2 * rows * WIDTH * 4 * WIDTH, seconds / len(works)) for work in works)


def _rate(work, operations: float, seconds: float) -> float:
    work()
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        work()
        count += 1
    return count * operations / spent / 1e9


# ---------------------------------------------------------------------- the peer


class Peer:
    """The process of the other environment that answers one sweep a line."""

    def __init__(self, python: str, folder: Path, script: str = "peer_sweeps.py") -> None:
        script = Path(__file__).with_name(script)
        surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [python, "-W", "ignore", str(script), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
            env=surroundings, text=True,
        )  # fmt: skip
        self.versions = self._answer()

    def sweep(self, name: str, question: Question, cells: list | None = None) -> dict:
        """``values`` of the cells asked for, or of all, and seconds for ``cache`` and ``cells``."""
        asked = {
            "sweep": name, "clean": question.clean, "corrupt": question.corrupt,
            "answer": question.answer, "wrong": question.wrong, "cells": cells,
        }  # fmt: skip
        return self.ask(asked)

    def ask(self, asked: dict) -> dict:
        """The answer to one line."""
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            raise AssertionError(f"TransformerLens ended: {self._said.read()[-2000:]}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._said.close()
