"""What a sweep is asked for: one frozen wish, which a session keeps beside the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from microtome.errors import InputError
from microtome.prompts import ImageInput, Prompt, Question
from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.sweep import SWEEP

WISH = "wish"  # the parameter of a sweep's analysis that holds it
POSITION, HEAD, HEAD_POSITION, NEURON = "position", "head", "head position", "neuron"
BY_POSITION = (POSITION, HEAD_POSITION)


@dataclass(frozen=True, slots=True)
class Swept:
    """A row: what is swept, at which site, and what one cell is."""

    name: str
    title: str
    site: str
    by: str
    tip: str
    causal: bool = False  # noise on the embedding of a span, then restored cell by cell


SWEPT = (
    Swept(
        "resid_pre",
        "Residual stream",
        "resid_pre",
        POSITION,
        "resid_pre: the residual stream before each layer, at each position",
    ),
    Swept(
        "resid_mid",
        "Stream after attention",
        "resid_mid",
        POSITION,
        "resid_mid: the residual stream between attention and MLP, at each position",
    ),
    Swept(
        "attn_out",
        "Attention output",
        "attn_out",
        POSITION,
        "attn_out: what attention adds to the stream, at each position",
    ),
    Swept(
        "mlp_out",
        "MLP output",
        "mlp_out",
        POSITION,
        "mlp_out: what the MLP adds to the stream, at each position",
    ),
    Swept(
        "z", "Head outputs (z)", "z", HEAD, "z: the output of each head, at all positions together"
    ),
    Swept(
        "z at",
        "Head outputs by position",
        "z",
        HEAD_POSITION,
        "z: the output of each head, at each position",
    ),
    Swept(
        "q",
        "Queries (q) by head",
        "q",
        HEAD,
        "q: the queries of each head, at all positions together",
    ),
    Swept(
        "k", "Keys (k) by head", "k", HEAD, "k: the keys of each head, at all positions together"
    ),
    Swept(
        "v",
        "Values (v) by head",
        "v",
        HEAD,
        "v: the values of each head, at all positions together",
    ),
    Swept("pattern", "Attention patterns", "pattern", HEAD, "pattern: where each head looks"),
    Swept(
        "neurons",
        "Neurons of a layer",
        "mlp_post",
        NEURON,
        "mlp_post: the neurons of one layer, each by itself",
    ),
    Swept(
        "causal",
        "Causal tracing",
        "resid_post",
        POSITION,
        "Noise on the embedding of some tokens, then one place after another is restored",
        causal=True,
    ),
)

DENOISING, NOISING, ZERO, MEAN = "denoising", "noising", "zero", "mean"
MODES = {
    DENOISING: "Denoise: clean → corrupt",
    NOISING: "Noise: corrupt → clean",
    ZERO: "Zero ablation",
    MEAN: "Mean ablation",
}
ABLATING = (ZERO, MEAN)

METRICS = {
    "logit": "Logit difference",
    "log-probability": "Log-probability of the answer",
    "probability": "Probability of the answer",
    "rank": "Rank of the answer",
    "kl": "KL divergence from the clean run",
    "loss": "Loss",
}
NO_ANSWER = frozenset({"kl", "loss"})  # metrics that ask for none


def swept(name: str) -> Swept:
    """The row of a name. Raises InputError for an unknown one."""
    for row in SWEPT:
        if row.name == name:
            return row
    raise InputError(f"Nothing that is called {name!r} can be swept.")


@dataclass(frozen=True, slots=True)
class Wish:
    """One sweep: what, how, over which prompts, by which metric.

    ``question`` is the pair, or with ``data`` the name of a prompt set whose first ``count``
    pairs are taken instead. ``over`` names the set that a mean is taken over, else it is taken over
    the prompts themselves. ``span`` (first
    token, one behind the last), ``noise`` and ``samples`` are for causal tracing. ``budget`` is
    in MiB and changes no number.
    """

    question: Question | None
    what: str = "resid_pre"
    mode: str = DENOISING
    metric: str = "logit"
    data: str = ""
    count: int = 0
    layer: int | None = None
    over: str = ""
    align: bool = False
    span: tuple[int, int] | None = None
    noise: float = 3.0
    samples: int = 10
    seed: int = 0
    budget: int = 256

    @property
    def row(self) -> Swept:
        """What is swept."""
        return swept(self.what)

    @property
    def ablates(self) -> bool:
        """Whether nothing is patched from another prompt."""
        return self.mode in ABLATING and not self.row.causal

    def same_numbers(self, other: Wish) -> bool:
        """Whether both ask for the same numbers."""
        return replace(self, budget=0) == replace(other, budget=0)

    def as_json(self) -> dict[str, Any]:
        """The wish as plain JSON values."""
        return {**asdict(replace(self, question=None)), "question": question_json(self.question)}

    @classmethod
    def from_json(cls, held: Any) -> Wish:
        """The wish that ``as_json`` gave; InputError for what is none."""
        try:
            given = {field.name: held[field.name] for field in fields(cls) if field.name in held}
            asked, span = given.get("question"), given.get("span")
            given["question"] = None if asked is None else Question(**_tuples(asked))
            given["span"] = None if span is None else (int(span[0]), int(span[1]))
            wish = cls(**given)
            swept(wish.what)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"This is no sweep: {error}.") from error
        return wish


def question_json(question: Question | None) -> dict[str, Any] | None:
    """A question as plain JSON values; None for one about an image, which JSON does not hold."""
    prompts = () if question is None else (question.prompt, question.corrupt)
    images = any(isinstance(prompt, ImageInput) for prompt in prompts)
    return None if question is None or images else asdict(question)


def _tuples(held: dict[str, Any]) -> dict[str, Any]:
    """Token ids as they were before JSON made lists of them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}


def wish_of(analysis: Analysis) -> Wish | None:
    """What a sweep was asked for; None for one that was not made in a window."""
    try:
        return Wish.from_json(analysis.params[WISH]) if WISH in analysis.params else None
    except InputError:  # of another version
        return None


def origin_of(analysis: Analysis, session: Session) -> Wish | None:
    """What a sweep was asked for, as far as its cells can become edits.

    A sweep of the command line over the session's own pair is known by its parameters.
    """
    held, asked = wish_of(analysis), analysis.params["asked"]
    if held is not None:
        return held
    mode = asked.get("how", analysis.params["mode"])
    rows = (r for r in SWEPT if (r.site, r.by) == (analysis.params["kind"], asked.get("by")))
    row = next(rows, None)
    alone = asked.get("examples", 1) == 1 and "span" not in asked
    if row is None or mode not in (DENOISING, NOISING, ZERO) or not alone:
        return None
    layer = asked.get("layer")
    return Wish(session.question, row.name, mode, layer=layer, align=bool(asked.get("align")))


def mean_over(wish: Wish) -> tuple[Prompt, ...]:
    """The prompts that a mean ablation takes its mean over."""
    name = wish.over or wish.data
    if name:
        from microtome.prompt_sets import load_prompt_set

        return tuple(pair.clean for pair in load_prompt_set(name).pairs)
    asked = wish.question
    both = () if asked is None else (asked.prompt, asked.corrupt)
    return tuple(prompt for prompt in both if prompt is not None)


def sweeps_in(session: Session | None) -> tuple[Analysis, ...]:
    """The sweeps of a session, newest last."""
    held = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in held if analysis.kind == SWEEP)


def sweep_for(session: Session | None, wish: Wish) -> Analysis | None:
    """A whole sweep that answers the wish already."""
    for analysis in sweeps_in(session):
        held = wish_of(analysis)
        whole = not analysis.params["asked"].get("partial", False)
        if held is not None and whole and held.same_numbers(wish):
            return analysis
    return None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a sweep would take, or why it cannot be made. ``seconds`` and ``bytes`` are estimates.

    ``unequal`` says that the prompts have different numbers of tokens.
    """

    cells: int = 0
    skipped: int = 0
    seconds: float = 0.0
    bytes: int = 0
    path: str = ""
    problem: str = ""
    unequal: bool = False
    nbytes: int = 0  # that it takes itself, as whatever is kept for panels says
