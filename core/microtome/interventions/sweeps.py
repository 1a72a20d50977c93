"""Sweeps: the metric for one changed place after another, from as little work as possible.

``patching_sweep`` puts values of one run into another, ``ablation_sweep`` takes values away,
``causal_trace`` repairs a run whose input was disturbed. All three say which places matter.
Sources: Heimersheim and Nanda, "How to use and interpret activation patching" (2024); Meng et
al., "Locating and editing factual associations in GPT" (2022), for causal tracing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from microtome.errors import EditError, InputError, expect
from microtome.interventions.sweeping.cells import default_way
from microtome.interventions.sweeping.estimate import SweepEstimate, estimate
from microtome.interventions.sweeping.examples import (
    Metrics,
    Noise,
    expect_keys,
    listed_prompts,
    noised_examples,
    pair_examples,
    prompt_examples,
    sized_examples,
)
from microtome.interventions.sweeping.naming import ids_of
from microtome.interventions.sweeping.running import Asked, run_sweep
from microtome.interventions.sweeping.task import Example, How, Put
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair, as_prompt
from microtome.records.sweep import Sweep
from microtome.sites import Site

BUDGET = 192 << 20  # bytes beside the model


class Options(TypedDict, total=False):
    """What every sweep can be told.

    ``by``, ``layer`` and ``ranges`` say what a cell is (see ``patching_sweep``). Without ``skip``
    cells are computed that are known to change nothing. ``path`` forces a way of computing (see
    ``Sweep.path``); ``budget`` is in bytes beside the model.
    """

    by: str | None
    layer: int | None
    ranges: Sequence[tuple[int, int]] | None
    skip: bool
    path: str | None
    budget: int
    seed: int
    job: Job | None


_ABLATIONS: tuple[How, ...] = ("zero", "mean", "position mean", "resample")


@small_on_one_thread
def patching_sweep(
    model: Model,
    pairs: PromptPair | Sequence[PromptPair],
    metric: Metrics = None,
    kind: str = "resid_pre",
    *,
    noising: bool = False,
    align: bool = False,
    **options: Unpack[Options],
) -> Sweep:
    """The metric when each place in turn gets the value of the other run.

    ``kind`` is a site; ``by`` says what a cell is: ``position`` (effects [layer, position]),
    ``head`` ([layer, head]), ``head position`` ([layer, head, position]), ``neuron`` (of one
    ``layer``, [neuron]) or ``range`` of positions ([layer, range]). Denoising puts clean values
    into the corrupt run, ``noising`` the reverse; 0 is as corrupt and 1 as clean for both. Over
    several pairs effects are the ratio of the means with a 95 % bootstrap band. Cells that are
    known to change nothing are not computed unless ``skip`` is off. Prompts of different numbers
    of tokens need ``align``. ``path`` forces a way of computing (see ``Sweep.path``).
    Partial results are handed out by ``job.partial`` as ``sweep``.
    Raises PromptError, MetricError, SiteMissing or InputError for what cannot be asked,
    MemoryExceeded when not even one cell fits ``budget`` bytes, Cancelled when stopped.
    """
    expect_model(model)
    examples = pair_examples(model, pairs, metric, noising=noising, align=align)
    expect_keys(kind, examples)
    mode = "noising" if noising else "denoising"
    asked = _asked(model, examples, Put(), kind, mode, {"align": align}, options)
    return run_sweep(asked, job_or_default(options.get("job")))


@small_on_one_thread
def ablation_sweep(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    metric: Metrics = None,
    kind: str = "z",
    *,
    how: str = "zero",
    over: Sequence[Prompt] = (),
    **options: Unpack[Options],
) -> Sweep:
    """The change of the metric when each place in turn is ablated.

    ``how`` is ``zero``; ``mean`` over all positions of the prompts in ``over``; ``position mean``
    over them position by position; or ``resample``, the values of one of them drawn by ``seed``.
    The last two need prompts of the length of those swept. Effects are changes of the metric.
    All else is as for ``patching_sweep``.
    Raises EditError for a mean or a resampling without prompts, and what ``patching_sweep``
    raises.
    """
    expect_model(model)
    wanted = next((known for known in _ABLATIONS if known == how), None)
    if wanted is None:
        raise EditError(f"There is no ablation {how!r}.", f"Choose {', '.join(_ABLATIONS)}.")
    if wanted != "zero" and not over:
        raise EditError(f"The ablation {how!r} needs prompts.", "Give them as over=[…].")
    read = tuple(model.tokenize(as_prompt(prompt)) for prompt in listed_prompts(over, "over"))
    put = Put(wanted, read, options.get("seed", 0))
    examples = prompt_examples(model, prompts, metric)
    settings = {"how": how, "over": [ids_of(tokens) for tokens in put.over]}
    asked = _asked(model, examples, put, kind, "ablation", settings, options)
    return run_sweep(asked, job_or_default(options.get("job")))


@small_on_one_thread
def causal_trace(
    model: Model,
    prompt: Prompt | Sequence[int],
    metric: Metrics = None,
    *,
    span: tuple[int, int],
    kind: str = "resid_post",
    noise: float = 3.0,
    samples: int = 10,
    **options: Unpack[Options],
) -> Sweep:
    """The metric when the embedding of a span is disturbed and one place is repaired.

    Normal noise of ``noise`` times the standard deviation of all embeddings is added to the
    positions ``span[0]`` to ``span[1]`` (behind the last), ``samples`` times by ``seed``; each
    cell [layer, position] then gets its clean value back. 0 is as disturbed, 1 as clean, with a
    band over the samples.
    Raises InputError for a span that is none, and what ``patching_sweep`` raises.
    """
    expect_model(model)
    expect(noise, (int, float), "noise", "a number", "Write noise=3.0.")
    expect(samples, int, "samples", "a whole number", "Write samples=10.")
    drawn = Noise(_span(span, "The span"), noise, samples, options.get("seed", 0))
    examples = noised_examples(model, prompt, metric, drawn)
    settings = {"span": list(span), "noise": noise, "samples": samples}
    by_position: Options = {"by": "position", **options}
    asked = _asked(model, examples, Put(), kind, "denoising", settings, by_position)
    return run_sweep(asked, job_or_default(options.get("job")))


def estimate_sweep(
    model: Model,
    prompts: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    kind: str = "resid_pre",
    *,
    align: bool = False,
    samples: int = 1,
    **options: Unpack[Options],
) -> SweepEstimate:
    """What a sweep will take, before it is started: of pairs a patching sweep, else an ablation.

    For a causal trace ``samples`` are its draws. Only shapes and token ids are looked at, one
    product of matrices is timed, and a model that was not swept yet runs the prompt twice, which
    tells the path that the sweep will take. Raises what the sweep would raise before it starts.
    """
    expect_model(model)
    examples = sized_examples(model, prompts, metric, align=align, copies=samples)
    put = Put() if examples[0].source is not None else Put("zero")
    asked = _asked(model, examples, put, kind, "denoising", {}, options)
    return estimate(asked, options.get("job"))


def _swept(kind: str, options: Options) -> tuple[str, Options]:
    """The site's own name, and options that hold its layer and how it is swept.

    Raises InputError for one head of a site, or a layer that is named twice.
    """
    site, layer = Site.of(kind), options.get("layer")
    if site.head is not None or (site.layer is not None and layer not in (None, site.layer)):
        raise InputError(
            f"{kind} with the layer {layer} is no site to sweep over.",
            f"Write kind={site.name!r}, and layer=… to sweep one layer.",
        )
    by = options.get("by") or default_way(site.name)
    if site.layer is not None:
        layer = site.layer
    return site.name, {**options, "by": by, "layer": layer}


def _span(given: Any, name: str) -> tuple[int, int]:
    """The first position and the one behind the last. Raises InputError for what is no pair."""
    try:
        start, stop = given
        return int(start), int(stop)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} of positions is {given!r}, but two whole numbers were expected.",
            "Give the first position and the one behind the last, for example (2, 4).",
        ) from None


def _asked(
    model: Model,
    examples: tuple[Example, ...],
    put: Put,
    kind: str,
    mode: str,
    settings: dict[str, Any],
    options: Options,
) -> Asked:
    seed, budget = options.get("seed", 0), options.get("budget", BUDGET)
    for name, number in (("seed", seed), ("budget", budget)):
        expect(number, int, name, "a whole number", f"Write for example {name}=1.")
    if seed < 0:
        raise InputError(f"The seed is {seed}.", "Give 0 or more.")
    given = options.get("ranges")
    ranges = None if given is None else tuple(_span(span, "A range") for span in given)
    kind, options = _swept(kind, options)
    told = settings | {
        "kind": kind,
        "mode": mode,
        "by": options["by"],
        "layer": options.get("layer"),
        "ranges": None if ranges is None else [list(span) for span in ranges],
        "seed": options.get("seed", 0),
    }
    how: dict[str, Any] = {"budget": BUDGET, **options, "ranges": ranges}
    how.pop("job", None)
    return Asked(model, examples, put, kind, mode, settings=told, **how)
