"""What a transformer that sees does patch by patch: where heads look, and what each patch says."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.analysis.lens import logit_lens
from microtome.analysis.rollout import rolled_out
from microtome.errors import InputError, SiteMissing, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import Trace

ATTENTION_MAPS, ROLLOUT, PATCH_LENS = "attention-maps", "attention-rollout", "patch-lens"
_EXAMPLE = "Make one with trace(model, image)."
_MAP = ("row", "column")


def patch_grid(trace: Trace) -> tuple[int, tuple[int, int]]:
    """How many positions stand before the patches of a run, and their rows and columns.

    Raises InputError for a run that is not of patches of an image.
    """
    expect(trace, Trace, "trace", "a run on an image", _EXAMPLE)
    leading = sum(text.startswith("[") for text in trace.tokens)
    places = [text.split(",") for text in trace.tokens[leading:]]
    if not places or trace.image is None or any(len(place) != 2 for place in places):
        raise InputError(
            f"The run on {trace.prompt!r} is not of an image in patches.",
            "Give a run of a transformer that sees (ViT, DeiT, DINOv2, CLIP) on an image.",
        )
    row, column = map(int, places[-1])
    return leading, (row + 1, column + 1)


def attention_maps(trace: Trace, query: int | tuple[int, ...] = 0) -> Analysis:
    """Where each head looks from one query, over the image.

    ``query`` is a position (0, the class token) or the row and column of a patch. ``maps``
    [layer, head, row, column] are the weights on patches and ``leading`` [layer, head, token]
    those on the tokens before them: together they sum to 1.
    Raises SiteMissing for a run without ``pattern``, InputError for one that is not of patches
    or a query that it does not have.
    """
    leading, grid = patch_grid(trace)
    at = _position(query, leading, grid, len(trace.tokens))
    rows = _patterns(trace)[:, :, at]  # layer head key
    maps = rows[..., leading:].reshape(*rows.shape[:2], *grid)
    arrays = {
        "maps": Labelled(("layer", "head", *_MAP), maps, long_name="share of attention"),
        "leading": Labelled(("layer", "head", "token"), rows[..., :leading]),
        "leading_texts": Labelled(("token",), np.array(trace.tokens[:leading])),
    }
    token = trace.tokens[at]
    told = {"method": "attention", "query": at, "query_text": token, "prompt": trace.prompt}
    return Analysis(
        f"{ATTENTION_MAPS}/{at}", ATTENTION_MAPS, f"Attention from {token}", arrays, told
    )


def attention_rollout(trace: Trace) -> Analysis:
    """Attention followed through the layers, from each query back to the patches.

    With A_l the mean pattern of a layer's heads and I for the residual stream,
    R_l = (A_l + I) / 2 · R_{l-1} and R_0 = I; rows sum to 1. ``rollout`` is [layer, query, token],
    ``maps`` [layer, row, column] the class token's row over the image. It says how attention
    mixes positions, not what is written: see direct attribution and circuits for that.
    Raises SiteMissing for a run without ``pattern`` of all layers, InputError for one that is not
    of patches.
    Source: Abnar & Zuidema, "Quantifying attention flow in transformers" (2020), section 3.
    """
    leading, grid = patch_grid(trace)
    rolled = rolled_out(_patterns(trace).mean(1))
    arrays = {
        "rollout": Labelled(("layer", "query", "token"), rolled, long_name="attention rollout"),
        "maps": Labelled(("layer", *_MAP), rolled[:, 0, leading:].reshape(-1, *grid)),
    }
    told = {"method": "rollout", "heads": "mean", "residual": 0.5, "prompt": trace.prompt}
    return Analysis(ROLLOUT, ROLLOUT, "Attention rollout", arrays, told)


def patch_lens(trace: Trace, answer: int | str | None = None) -> Analysis:
    """What the model would answer at each patch after each layer: the logit lens over the image.

    The final norm and the classifier, made for the class token, read every patch. ``probability``
    and ``logit`` [layer, row, column] are those of ``answer``, by default the model's own;
    ``class`` and ``class_probability`` say which answer is the likeliest, ``token`` [layer] what
    the class token gives ``answer``.
    Raises SiteMissing for a run without ``resid_post`` or one from a file, InputError for one
    that is not of patches, AnswerError for an answer that the model does not have.
    """
    leading, grid = patch_grid(trace)
    model = trace.live
    if model is None:
        raise SiteMissing(
            "The lens over patches needs the model's weights, and this run came from a file.",
            "Open the model and run the image again.",
        )
    logits = logit_lens(trace, normalise=False)
    number = int(logits[-1, 0].argmax()) if answer is None else model.answer_token(answer)
    likely = torch.from_numpy(logits).softmax(-1).numpy()
    patches: tuple[Float[np.ndarray, "layer patch"], ...] = (
        likely[:, leading:, number], logits[:, leading:, number], likely[:, leading:].max(-1),
    )  # fmt: skip
    best: Int[np.ndarray, "layer patch"] = likely[:, leading:].argmax(-1).astype(np.int32)
    axes, shape = ("layer", *_MAP), (len(logits), *grid)
    named = ("probability", "logit", "class_probability")
    arrays = {
        name: Labelled(axes, values.reshape(shape).astype(np.float32))
        for name, values in zip(named, patches, strict=True)
    }
    arrays["class"] = Labelled(axes, best.reshape(shape))
    arrays["token"] = Labelled(("layer",), likely[:, 0, number].astype(np.float32))
    arrays["layers"] = Labelled(("layer",), np.array(trace.activations["resid_post"].layers))
    text = model.token_text(number)
    told = {
        "method": "logit lens",
        "answer": number,
        "answer_text": text,
        "classes": [model.token_text(each) for each in range(logits.shape[-1])],
        "prompt": trace.prompt,
    }
    return Analysis(f"{PATCH_LENS}/{number}", PATCH_LENS, f"Lens of {text}", arrays, told)


def _patterns(trace: Trace) -> Float[np.ndarray, "layer head query key"]:
    return np.asarray(trace.activation("pattern"))


def _position(query: int | tuple[int, ...], leading: int, grid: tuple[int, int], count: int) -> int:
    expect(query, (int, tuple), "query", "a position or a row and a column", "Write 0 or (3, 1).")
    if isinstance(query, tuple):
        row, column = query if len(query) == 2 else (-1, -1)
        if 0 <= row < grid[0] and 0 <= column < grid[1]:
            return leading + row * grid[1] + column
    elif 0 <= query < count:
        return query
    raise InputError(
        f"The run has no query {query}.",
        f"Give a position from 0 to {count - 1}, or a patch's row below {grid[0]} and column below "
        f"{grid[1]}.",
    )
