"""What a sweep is asked for: one frozen wish, which a session keeps beside the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from microtome.errors import InputError
from microtome.prompts import Prompt, Question
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
    causal: bool = False  # noise on the embedding of a span, then restored cell by cell


SWEPT = (
    Swept("resid_pre", "Residual stream before each layer", "resid_pre", POSITION),
    Swept("resid_mid", "Residual stream between attention and MLP", "resid_mid", POSITION),
    Swept("attn_out", "Attention output", "attn_out", POSITION),
    Swept("mlp_out", "MLP output", "mlp_out", POSITION),
    Swept("z", "Head outputs (z), all positions", "z", HEAD),
    Swept("z at", "Head outputs (z) by position", "z", HEAD_POSITION),
    Swept("q", "Queries of each head", "q", HEAD),
    Swept("k", "Keys of each head", "k", HEAD),
    Swept("v", "Values of each head", "v", HEAD),
    Swept("pattern", "Attention pattern of each head", "pattern", HEAD),
    Swept("neurons", "Neurons of a layer", "mlp_post", NEURON),
    Swept("causal", "Causal tracing: noise, then restore", "resid_post", POSITION, causal=True),
)

DENOISING, NOISING, ZERO, MEAN = "denoising", "noising", "zero", "mean"
MODES = {
    DENOISING: "Denoising: clean into corrupt",
    NOISING: "Noising: corrupt into clean",
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
        return asdict(self)

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


def _tuples(held: dict[str, Any]) -> dict[str, Any]:
    """Token ids as they were before JSON made lists of them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}


def wish_of(analysis: Analysis) -> Wish | None:
    """What a sweep was asked for; None for one that was not made in a window."""
    try:
        return Wish.from_json(analysis.params[WISH]) if WISH in analysis.params else None
    except InputError:  # of another version
        return None


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
