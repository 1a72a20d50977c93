"""Scenes of the panels that ask many questions of a model at once."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.prompts import Question
from microtome.records.hypothesis import Arrow
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_requests import IndexFeatures, OpenDictionary
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.state.discoveries import Search
from microtome_desktop.state.suites import Data
from microtome_desktop.views.discovery_panel import DiscoveryPanel
from microtome_desktop.views.features_panel import FeaturesPanel
from microtome_desktop.views.hypothesis_panel import HypothesisPanel
from microtome_desktop.views.suite_panel import SuitePanel

REPEAT = Question("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu", "owl", "dog")


def discovered(stage: Stage) -> QWidget:
    """Three rivals on the task of names, two of them in one graph."""
    stage.front("discovery")
    panel = stage.panel("discovery")
    if not isinstance(panel, DiscoveryPanel):
        raise LookupError("There is no discovery panel.")  # noqa: TRY004  a part that is missing
    for method in ("two-point", "eap", "eap-ig"):
        panel.asking.controls.show_search(Search(None, method, data="name", count=32))
        stage.rest()
        stage.do(CommandId.DISCOVER)
        stage.rest()
    stage.do(CommandId.COMPARE_CIRCUITS)
    return stage.card("discovery")


def slimmed(stage: Stage) -> QWidget:
    """What two tasks can do without."""
    stage.front("suite")
    panel = stage.panel("suite")
    if isinstance(panel, SuitePanel):
        panel.data.show_data(Data(("name", "pronoun"), 10))
    stage.do(CommandId.REDUNDANCY)
    return stage.card("suite")


def hypothesis(stage: Stage) -> QWidget:
    """How the compiled model continues a repetition, tested, and one swap in front."""
    stage.clear()
    stage.load("induction-exact")
    stage.run(REPEAT)
    panel = stage.panel("hypothesis")
    stage.front("hypothesis")
    if isinstance(panel, HypothesisPanel):
        panel.acts.add_induction()
        stage.do(CommandId.TEST_HYPOTHESIS)
        panel.pick(Arrow("previous", "answer", "k"))
        panel.side.setCurrentWidget(panel.swaps)
    stage.rest()
    return stage.card("hypothesis")


def featured(stage: Stage) -> QWidget:
    """The small dictionary of the example model over a text, with one feature's card."""
    stage.front("features")
    panel = stage.panel("features")
    if not isinstance(panel, FeaturesPanel):
        raise LookupError("There is no features panel.")  # noqa: TRY004  a part that is missing
    if panel.table is None:
        stage.ask(OpenDictionary("words-4l/resid_post.2-small"))
        source = panel.current
        if source is not None:
            stage.ask(IndexFeatures(source.fingerprint, source.name, "words-4l", 20_000))
    panel.rows.sort_by("purity", descending=True)
    panel.choose(int(panel.rows.rows[5]))
    stage.rest()
    return stage.card("features")
