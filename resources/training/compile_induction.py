"""Compile an induction circuit by hand into a plain GPT-2: the ground truth of the tests.

The residual stream is a table of one-hot vectors, side by side:

    token | position | previous | output | balance

L0H0 looks from each position to the one before and copies its token into
``previous``. L1H0 looks from a token to every position whose ``previous`` is the
same token and copies the token there into ``output``, which the unembedding
reads. All other heads and the MLPs are zero.

A GPT-2 block normalises its input, and this circuit wants none. LayerNorm with a
huge epsilon e and the weight sqrt(e) is x - mean(x) up to var / (2 e), and
``balance`` takes from every writer minus the sum of what it writes, so that the
mean is zero: the norms become the identity, exactly.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from training.saving import save_model
from training.tokenizer import save_tokenizer
from training.words import BOS, UNKNOWN

_EPSILON: Final = 1e10
_SHARPNESS: Final = 100.0  # attention logit of a match; e^-100 is zero beside it
_LOGIT: Final = 20.0  # logit of the answer; every other one is zero
_HEADS: Final = 2
_ANIMALS: Final = (
    "ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen",
    "ibis", "jay", "kiwi", "lynx", "mole", "newt", "owl", "pig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How many words and positions a compiled model knows."""

    name: str
    words: int
    positions: int

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens: the special ones, then animals."""
        return (BOS, UNKNOWN, *_ANIMALS[: self.words])


FULL: Final = Size("induction-exact", words=16, positions=32)
TINY: Final = Size("induction-exact-tiny", words=8, positions=16)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which residual dimensions mean what; the last one or two are padding."""

    token: slice
    position: slice
    previous: slice
    output: slice
    balance: int
    width: int

    @classmethod
    def of(cls, size: Size) -> "Layout":
        """Return the layout for a size; the width is rounded up to the number of heads."""
        v, p = len(size.vocabulary), size.positions
        balance = 3 * v + p
        width = math.ceil((balance + 1) / _HEADS) * _HEADS
        return cls(
            slice(0, v), slice(v, v + p), slice(v + p, 2 * v + p), slice(2 * v + p, balance),
            balance, width,
        )  # fmt: skip

    def meanings(self, vocabulary: tuple[str, ...]) -> list[str]:
        """Return what each dimension stands for, in order."""
        positions = range(self.position.stop - self.position.start)
        named = [f"token {word}" for word in vocabulary]
        named += [f"position {at}" for at in positions]
        named += [f"previous {word}" for word in vocabulary]
        named += [f"output {word}" for word in vocabulary]
        named.append("balance")
        return named + ["unused"] * (self.width - len(named))


def _balanced(rows: Tensor, layout: Layout) -> Tensor:
    """Fill the balance dimension of vectors [..., width] so that each sums to zero."""
    rows[..., layout.balance] = -rows.sum(-1)
    return rows


def _head(
    attention: nn.Module, head: int, query: Tensor, key: Tensor, value: Tensor, output: Tensor
) -> None:
    """Write one head's maps: query, key and value [width, n], output [n, width]."""
    width = query.shape[0]
    size = width // _HEADS
    packed = attention.get_parameter("c_attn.weight")  # [width, 3 x width]
    for block, matrix in enumerate((query, key, value)):
        start = block * width + head * size
        packed[:, start : start + matrix.shape[1]] = matrix
    start = head * size
    attention.get_parameter("c_proj.weight")[start : start + output.shape[0]] = output


def _reader(layout: Layout, part: slice) -> Tensor:
    """Return the map [width, n] that reads one part of the residual stream."""
    return torch.eye(layout.width)[:, part].clone()


def _writer(layout: Layout, part: slice) -> Tensor:
    """Return the map [n, width] that writes one part and keeps the sum at zero."""
    return _balanced(torch.eye(layout.width)[part].clone(), layout)


def _previous_token_query(layout: Layout) -> Tensor:
    """Return the map of a position to the one before; position 0 has only itself."""
    query = torch.zeros(layout.width, layout.position.stop - layout.position.start)
    for at in range(query.shape[1]):
        query[layout.position.start + at, max(at - 1, 0)] = 1.0
    return query


@torch.no_grad()
def compile_model(size: Size) -> GPT2LMHeadModel:
    """Return the compiled model in float32."""
    layout = Layout.of(size)
    model = GPT2LMHeadModel(_config(size, layout.width))
    model.train(mode=False)
    for parameter in model.parameters():
        parameter.zero_()
    for norm in (module for module in model.modules() if isinstance(module, nn.LayerNorm)):
        norm.weight.fill_(math.sqrt(_EPSILON))
    model.transformer.wte.weight.copy_(_writer(layout, layout.token))
    model.transformer.wpe.weight.copy_(_writer(layout, layout.position))
    model.lm_head.weight.copy_(_LOGIT * _reader(layout, layout.output).T)
    # The model divides attention logits by the root of the head's size; undo it.
    sharpness = _SHARPNESS * math.sqrt(layout.width // _HEADS)
    first, second = (block.get_submodule("attn") for block in model.transformer.h)
    _head(
        first,
        0,
        query=sharpness * _previous_token_query(layout),
        key=_reader(layout, layout.position),
        value=_reader(layout, layout.token),
        output=_writer(layout, layout.previous),
    )
    _head(
        second,
        0,
        query=sharpness * _reader(layout, layout.token),
        key=_reader(layout, layout.previous),
        value=_reader(layout, layout.token),
        output=_writer(layout, layout.output),
    )
    return model


def _config(size: Size, width: int) -> GPT2Config:
    return GPT2Config(
        vocab_size=len(size.vocabulary),
        n_positions=size.positions,
        n_embd=width,
        n_layer=2,
        n_head=_HEADS,
        n_inner=_HEADS,
        activation_function="relu",
        layer_norm_epsilon=_EPSILON,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )


def ground_truth(size: Size) -> Mapping[str, object]:
    """Return what every dimension means, and the known circuit on an example."""
    layout = Layout.of(size)
    words = size.vocabulary[2:8]
    asked, answer = words[3], words[4]
    corrupt = [word if word != asked else size.vocabulary[-1] for word in words]
    return {
        "dimensions": layout.meanings(size.vocabulary),
        "parts": {
            "token": [layout.token.start, layout.token.stop],
            "position": [layout.position.start, layout.position.stop],
            "previous": [layout.previous.start, layout.previous.stop],
            "output": [layout.output.start, layout.output.stop],
            "balance": [layout.balance, layout.balance + 1],
        },
        "attention_logit_of_a_match": _SHARPNESS,
        "logit_of_the_answer": _LOGIT,
        "layer_norm_epsilon": _EPSILON,
        "heads": [
            {"layer": 0, "head": 0, "role": "previous token"},
            {"layer": 1, "head": 0, "role": "induction"},
        ],
        "unused_heads": [{"layer": 0, "head": 1}, {"layer": 1, "head": 1}],
        "circuit": {
            "prompt": " ".join([*words, *words[:4]]),
            "matched_token_replaced": " ".join([*corrupt, *words[:4]]),
            "answer": answer,
            "answer_position": 5,
            "matched_position": 4,
            "last_position": 10,
            "edges": _known_edges(),
        },
    }  # fmt: skip


def _known_edges() -> list[dict[str, object]]:
    """Return the circuit of the example; position 0 is <bos>."""
    previous, induction = {"head": [0, 0], "position": 5}, {"head": [1, 0], "position": 10}
    return [
        {"kind": "out", "source": induction, "target": {"metric": True}},
        {"kind": "value", "source": {"token": True, "position": 5}, "target": induction},
        {"kind": "key", "source": previous, "target": induction},
        {"kind": "query", "source": {"token": True, "position": 10}, "target": induction},
        {"kind": "value", "source": {"token": True, "position": 4}, "target": previous},
        {"kind": "key", "source": {"embedded_position": True, "position": 4}, "target": previous},
        {"kind": "query", "source": {"embedded_position": True, "position": 5}, "target": previous},
    ]


_CARD: Final = """# {name}

A two-layer GPT-2 whose weights were written by hand, not trained: the known
circuit that methods are tested against.

- **What it does.** After a repeated token it predicts, with certainty, the token
  that followed it before. L0H0 looks one position back; L1H0 looks to where the
  same token stood before and copies what followed. Everything else is zero. A
  token never seen before leaves L1H0 without a match: it then looks everywhere alike.
- **Size.** 2 layers, 2 heads each (one is used), width {width}, {vocabulary} tokens,
  {positions} positions, {parameters:,} parameters.
- **Norms.** `layer_norm_epsilon` is 1e10 on purpose, with weights of its square
  root: together with the balance dimension this makes every LayerNorm the identity.
  Read epsilon from the configuration, never assume 1e-5.
- **Truth.** `ground_truth.json` names every residual dimension and the whole circuit
  of an example. Attention is saturated, so gradients through it vanish: methods that
  need them miss the query and key edges here.
- **Measured.** {accuracy:.1%} of 1,000 repeated segments answered correctly, with a
  smallest probability of {smallest:.6f}.
- **Made by** `resources/training/compile_induction.py`. Licence: MIT.
"""


@torch.no_grad()
def _measured(model: GPT2LMHeadModel, size: Size) -> tuple[float, float]:
    """Return accuracy and the smallest probability on 1,000 repeated segments."""
    generator = torch.Generator().manual_seed(0)
    length = min(size.words, (size.positions - 1) // 2)
    segments = torch.stack(
        [torch.randperm(size.words, generator=generator)[:length] + 2 for _ in range(1_000)]
    )
    rows = torch.cat([torch.zeros(1_000, 1, dtype=torch.int64), segments, segments], 1)
    told = model(rows).logits[:, length + 1 : -1].softmax(-1)  # from the first repeated token on
    right = told.gather(-1, rows[:, length + 2 :, None]).squeeze(-1)
    return float((told.argmax(-1) == rows[:, length + 2 :]).float().mean()), float(right.min())


def write(size: Size, models: Path) -> None:
    """Write the model folder: weights, configuration, tokenizer, ground truth and card."""
    folder = models / size.name
    folder.mkdir(parents=True, exist_ok=True)
    model = compile_model(size)
    save_model(model, folder)
    save_tokenizer(size.vocabulary, folder, size.positions)
    truth = json.dumps(ground_truth(size), indent=1)
    (folder / "ground_truth.json").write_text(truth + "\n", encoding="utf-8")
    accuracy, smallest = _measured(model, size)
    card = _CARD.format(
        name=size.name,
        width=model.config.n_embd,
        vocabulary=len(size.vocabulary),
        positions=size.positions,
        parameters=model.num_parameters(),
        accuracy=accuracy,
        smallest=smallest,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
