"""Requests about probes: labelled prompts of a file, what probing takes, and probing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from microtome.errors import MicrotomeError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.probe import PROBE, Probe, probe_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.probings import (
    ProbeOutlook,
    ProbeWish,
    PromptLines,
    lines_key,
    outlook_key,
)

PROBE_SLOT = "probe"


@dataclass(frozen=True, slots=True)
class RunProbe(Request):
    """Probe a concept; sites appear as they are probed."""

    slot: ClassVar[str] = PROBE_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({PROBE_SLOT})
    about_session: ClassVar[bool] = True

    wish: ProbeWish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Probing a concept"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return f"{len(value.sites)} sites" if name == PROBE else ""

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The probes. Raises InputError for what cannot be probed, SiteMissing."""
        from microtome.analysis.labelled import parse_labelled
        from microtome.analysis.probes import probe, sites_of_kind

        wish, model = self.wish, engine.loaded
        given = parse_labelled(wish.text)
        return probe(
            model, given.prompts, given.labels, sites_of_kind(wish.kind, model.identity.n_layers),
            position=wish.position, groups=given.groups, folds=wish.folds, seed=wish.seed, job=job,
        )  # fmt: skip

    def deliver_partial(self, desk: Desk, name: str, value: Probe) -> None:
        """Show the sites so far."""
        if name == PROBE:
            desk.workspace.add_analysis(probe_analysis(value))

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add all of them to the session."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class ForeseeProbe(Request):
    """How long it takes: two prompts are run, and one probe is fitted."""

    slot: ClassVar[str] = "foresee probe"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee probe"})
    quiet: ClassVar[bool] = True

    wish: ProbeWish

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating a probe"

    def perform(self, engine: Engine, job: Job) -> ProbeOutlook:
        """Seconds, or the problem."""
        from microtome.analysis.labelled import parse_labelled
        from microtome.analysis.probe_outlook import foresee_probe
        from microtome.analysis.probes import sites_of_kind, unknown_words

        wish = self.wish
        try:
            given, model = parse_labelled(wish.text), engine.loaded
            sites = sites_of_kind(wish.kind, model.identity.n_layers)
            seconds = foresee_probe(
                model, given.prompts, given.labels, sites, position=wish.position,
                groups=given.groups, folds=wish.folds, job=job,
            )  # fmt: skip
        except MicrotomeError as error:
            return ProbeOutlook(problem=str(error))
        return ProbeOutlook(seconds, unknown=tuple(unknown_words(model, given.prompts)))

    def deliver(self, desk: Desk, result: ProbeOutlook) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(outlook_key(self.wish), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(outlook_key(self.wish))


@dataclass(frozen=True, slots=True)
class ReadPrompts(Request):
    """The labelled prompts of a file, or of an example by its name."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "labelled prompts"
    replaces: ClassVar[frozenset[str]] = frozenset({"labelled prompts"})
    quiet: ClassVar[bool] = True
    restless: ClassVar[str] = "A file is read in one step."

    source: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Reading labelled prompts"

    def perform(self, engine: Engine, job: Job) -> PromptLines:
        """Lines to type. Raises InputError for what is no such file."""
        from microtome.analysis.labelled import EXAMPLES, example_prompts, lines_of, read_labelled

        if self.source in {one.name for one in EXAMPLES}:
            return PromptLines(lines_of(example_prompts(self.source, _PAIRS)))
        return PromptLines(lines_of(read_labelled(self.source)))

    def deliver(self, desk: Desk, result: PromptLines) -> None:
        """Give them to the panel."""
        desk.workspace.prepared.put(lines_key(self.source), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(lines_key(self.source))


_PAIRS = 30  # of an example: enough to see it, done in seconds
