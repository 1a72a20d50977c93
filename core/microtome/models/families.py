"""Model families: one row says where every part of an architecture lives.

Adding a family means adding a row; nothing else in Microtome asks which family a model is.
"""

from __future__ import annotations

from microtome.errors import UnknownArchitecture
from microtome.models import encoder_rows as encoder
from microtome.models import gpt_rows as gpt
from microtome.models import llama_rows as llama
from microtome.models import t5_rows as t5
from microtome.models.discovery import sketch
from microtome.models.family import Family
from microtome.models.outline import Outline

_TABLE = (
    gpt.GPT2,
    gpt.NEOX,
    llama.LLAMA,
    llama.MISTRAL,
    llama.QWEN2,
    llama.QWEN3,
    llama.GEMMA,
    llama.GEMMA2,
    llama.GEMMA3,
    llama.SMOLLM3,
    gpt.PHI,
    llama.PHI3,
    llama.STABLELM,
    llama.OLMO2,
    gpt.OPT,
    gpt.GPTJ,
    gpt.FALCON,
    gpt.BLOOM,
    gpt.MPT,
    llama.MIXTRAL,
    llama.QWEN2_MOE,
    llama.QWEN3_MOE,
    encoder.BERT,
    encoder.ROBERTA,
    encoder.DISTILBERT,
    encoder.MODERNBERT,
    t5.T5,
    t5.MT5,
    t5.UMT5,
)
FAMILIES: dict[str, Family] = {row.model_type: row for row in _TABLE}


def family_of(model_type: str, name: str = "The model") -> Family:
    """The row of a ``model_type``.

    Raises UnknownArchitecture that lists the known families.
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        known = ", ".join(f"{row.title} ({row.model_type})" for row in _TABLE)
        raise UnknownArchitecture(
            f"{name} has the architecture {model_type!r}, whose blocks, norms, attention and MLP "
            "matrices Microtome does not know where to find.",
            f"Known architectures: {known}.",
        ) from None


def row_of(model_type: str, name: str = "The model") -> Family | Outline:
    """The row of a ``model_type``, or what is to be found out about another decoder.

    Raises UnknownArchitecture for what is no decoder that transformers knows.
    """
    outline = None if model_type in FAMILIES else sketch(model_type)
    return family_of(model_type, name) if outline is None else outline
