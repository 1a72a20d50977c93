"""The feature space of a site: its activations over many prompts, along their principal axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.activations.batches import batched_activations
from microtome.analysis.projection import PointLabels, project, to_analysis
from microtome.errors import InputError
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.prompt_sets import PromptSet
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis
from microtome.sites import Site

# A first picture after this many prompts, then whenever there are twice as many: all partial
# pictures together cost no more than the last.
_FIRST_PICTURE = 8
_HELD_BYTES = 512 * 2**20  # what several sites may hold at once; more run the prompts again
DEFAULT_POINTS = 4000


def feature_space(
    model: Model,
    site: Site,
    prompts: PromptSet | Sequence[PromptSet | Prompt],
    *,
    tasks: Sequence[str] | None = None,
    limit: int = DEFAULT_POINTS,
    components: int = 3,
    job: Job | None = None,
) -> Analysis:
    """The principal components of a site over all positions of many prompts.

    Prompt sets give their clean prompts, with the set's name as task; texts have the task given
    beside them in ``tasks``, or none. Tasks take turns, so that ``limit`` (in points) cuts all
    of them alike. A site without a layer gives points from every layer. Partial results are
    handed to the job as ``"analysis"`` while prompts run.
    Raises InputError for no prompts, or a site that has no positions.
    """
    job = job_or_default(job)
    _expect_vectors(site)
    asked = _asked(prompts, tasks)
    cloud, picture = _Cloud(site, limit), _FIRST_PICTURE
    places = _places(model, site)
    tokens = _read(model, [text for text, _ in asked], limit // len(places) + 1)
    asked = asked[: len(tokens)]
    runs = batched_activations(model, tokens, places, job=job)
    for done, ((_, task), (read, values)) in enumerate(zip(asked, runs, strict=True)):
        job.progress("Collecting activations", max(done, len(asked) * cloud.share), len(asked))
        cloud.add(read, values, task)
        if cloud.share >= 1:
            break
        if done + 1 == picture:
            job.partial("analysis", cloud.analysis(components))
            picture *= 2
    job.progress("Finding principal components", len(asked), len(asked))
    return cloud.analysis(components)


def feature_spaces(
    model: Model,
    sites: Sequence[Site],
    prompts: PromptSet | Sequence[PromptSet | Prompt],
    *,
    limit: int = 4000,
    components: int = 3,
    job: Job | None = None,
) -> Iterator[Analysis]:
    """The principal components of several sites over the same points, one after the other.

    Each is what ``feature_space`` gives for it; row i is the same token in all of them. The
    prompts run once for as many sites as fit into half a gigabyte.
    Raises InputError for no prompts, or a site that has no positions or names no layer.
    """
    job = job_or_default(job)
    for site in sites:
        _expect_vectors(site)
        if site.kind.per_layer and site.layer is None:
            raise InputError(f"{site} names no layer.", f"Write for example {site}.0.")
    asked = _asked(prompts, None)
    tokens = _read(model, [text for text, _ in asked], limit + 1)
    anatomy = model.identity
    each = 4 * limit * max(anatomy.d_model, anatomy.d_mlp)
    together = max(1, _HELD_BYTES // each)
    groups = [sites[start : start + together] for start in range(0, len(sites), together)]
    for turn, group in enumerate(groups):
        clouds = {site: _Cloud(site, limit) for site in group}
        runs = batched_activations(model, tokens, group, job=job)
        for done, ((_, task), (read, values)) in enumerate(zip(asked, runs, strict=False)):
            job.progress("Collecting activations", turn * len(tokens) + done,
                         len(groups) * len(tokens))  # fmt: skip
            for site, cloud in clouds.items():
                if cloud.share < 1:
                    cloud.add(read, {site: values[site]}, task)
        for cloud in clouds.values():
            job.check()
            yield cloud.analysis(components)


def _expect_vectors(site: Site) -> None:
    if site.kind.axes[0] != "position" or len(site.kind.axes) < 2:
        raise InputError(
            f"The site {site} has no activation vector at each position.",
            "Choose for example resid_post, mlp_out or z.",
        )


def _asked(
    prompts: PromptSet | Sequence[PromptSet | Prompt], tasks: Sequence[str] | None
) -> list[tuple[Prompt, str]]:
    asked = list(_in_turns(_with_tasks(prompts, tasks)))
    if not asked:
        raise InputError("There are no prompts to take activations from.")
    return asked


def _with_tasks(
    prompts: PromptSet | Sequence[PromptSet | Prompt], tasks: Sequence[str] | None
) -> dict[str, list[Prompt]]:
    """Task -> its prompts."""
    listed = [prompts] if isinstance(prompts, PromptSet) else list(prompts)
    if tasks is not None and len(tasks) != len(listed):
        raise InputError(f"{len(tasks)} tasks were given for {len(listed)} prompts.")
    groups: dict[str, list[Prompt]] = {}
    for row, item in enumerate(listed):
        if isinstance(item, PromptSet):
            groups.setdefault(item.name, []).extend(pair.clean for pair in item.pairs)
        else:
            groups.setdefault(tasks[row] if tasks else "", []).append(item)
    return groups


def _in_turns(groups: dict[str, list[Prompt]]) -> Iterator[tuple[Prompt, str]]:
    """Prompts and their tasks, one of every task, then the next of every task."""
    for turn in zip_longest(*groups.values()):
        for task, text in zip(groups, turn, strict=True):
            if text is not None:
                yield text, task


def _read(model: Model, texts: Sequence[Prompt], enough: int) -> list[Tokens]:
    """The first prompts as tokens, as many as give ``enough`` positions."""
    read: list[Tokens] = []
    positions = 0
    for text in texts:
        if positions >= enough:
            break
        read.append(model.tokenize(text))
        positions += len(read[-1])
    return read


def _places(model: Model, site: Site) -> tuple[Site, ...]:
    """The site in its layer, or in every layer when it names none."""
    if site.layer is not None or not site.kind.per_layer:
        return (Site(site.name, site.layer),)
    return tuple(Site(site.name, layer) for layer in range(model.identity.n_layers))


@dataclass(slots=True)
class _Cloud:
    """Points gathered so far, at most ``limit`` of them."""

    site: Site
    limit: int
    prompts: list[str] = field(default_factory=list)
    rows: list[Float[np.ndarray, "some d"]] = field(default_factory=list)
    labels: list[tuple[int, int, int, str, str]] = field(default_factory=list)

    @property
    def share(self) -> float:
        return len(self.labels) / self.limit

    def add(self, tokens: Tokens, values: Mapping[Site, NDArray[Any]], task: str) -> None:
        """All positions of one prompt, layer by layer, as far as the limit allows."""
        row, length = len(self.prompts), len(tokens)
        self.prompts.append(tokens.prompt)
        for site, found in values.items():
            free = self.limit - len(self.labels)
            chosen = found if self.site.head is None else found[:, self.site.head]
            self.rows.append(chosen.reshape(length, -1)[:free].astype(np.float32))
            number = -1 if site.layer is None else site.layer
            self.labels.extend(
                (row, position, number, token, task)
                for position, token in enumerate(tokens.texts[:free])
            )

    def analysis(self, components: int) -> Analysis:
        prompt, position, layer, token, task = zip(*self.labels, strict=True)
        labels = PointLabels(
            np.array(prompt, np.int32), np.array(position, np.int32), np.array(layer, np.int32),
            token, task,
        )  # fmt: skip
        return to_analysis(project(self.rows, components), self.site, labels, self.prompts)
