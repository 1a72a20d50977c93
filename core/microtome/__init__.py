"""Microtome: a workbench for mechanistic interpretability.

Names load when they are first used, so that ``import microtome`` brings in neither torch nor
transformers, and opening a session for review never does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "KL",
    "Ablate",
    "Arrow",
    "Box",
    "Case",
    "Circuit",
    "Corpus",
    "CustomMetric",
    "Faithfulness",
    "FeatureCard",
    "FeatureChange",
    "FeatureEdit",
    "FeatureIndex",
    "FeatureLabel",
    "Harvest",
    "Hypothesis",
    "ImageInput",
    "ImageSet",
    "LabelSet",
    "Labeller",
    "LocalLabeller",
    "LogProbability",
    "LogitDifference",
    "LogitOverMean",
    "Loss",
    "MicrotomeError",
    "Neurons",
    "Patch",
    "Probability",
    "PromptPair",
    "Provenance",
    "Question",
    "Rank",
    "Session",
    "Site",
    "Steer",
    "Suite",
    "Sweep",
    "Target",
    "ToyModels",
    "ToyPlan",
    "Trace",
    "Treatment",
    "VisualSettings",
    "ablation_sweep",
    "adversarial_search",
    "attention_maps",
    "attention_rollout",
    "attribution_graph",
    "attribution_map",
    "causal_scrub",
    "causal_trace",
    "channel_faithfulness",
    "channel_graph",
    "check_dictionary",
    "choose_units",
    "class_direction",
    "component_graph",
    "coverage",
    "differs",
    "direct_logit_attribution",
    "discover_circuit",
    "edge_auc",
    "edit_price",
    "estimate_attribution",
    "estimate_discovery",
    "estimate_harvest",
    "estimate_sweep",
    "evaluate_dictionary",
    "evaluate_transcoders",
    "examine",
    "faithfulness",
    "feature_card",
    "feature_images",
    "feature_index",
    "feature_intervention",
    "feature_selectivity",
    "feature_space",
    "feature_splits",
    "generate",
    "graph_consensus",
    "graph_difference",
    "harvest",
    "head_scores",
    "image_maps",
    "image_space",
    "inspect_dictionary",
    "judge_circuit",
    "label_detection",
    "label_features",
    "lesion",
    "load_adapter",
    "load_dictionary",
    "load_image_set",
    "load_model",
    "load_suite",
    "load_transcoders",
    "logit_lens",
    "meanings",
    "module_tree",
    "open_harvest",
    "open_session",
    "patch_lens",
    "patching_sweep",
    "path_patching",
    "phase_diagram",
    "point_activity",
    "probe",
    "project",
    "propose_groups",
    "propose_label",
    "propose_labels",
    "provenance",
    "prune",
    "prune_by_influence",
    "read_corpus",
    "read_graph",
    "read_image",
    "read_images",
    "read_labels",
    "read_layer",
    "redundancy",
    "run_suite",
    "save_dictionary",
    "save_session",
    "save_transcoders",
    "score_label",
    "self_check",
    "shared_features",
    "shared_neurons",
    "slice_circuits",
    "stability",
    "superposition",
    "trace",
    "train_dictionary",
    "train_toy",
    "train_transcoders",
    "unit_card",
    "unit_evidence",
    "unit_table",
    "verify_session",
    "visualise",
    "where_it_fires",
    "write_graph",
]

if TYPE_CHECKING:
    from microtome.activations.capture import trace
    from microtome.activations.harvest import estimate_harvest, harvest
    from microtome.activations.shards import Harvest, open_harvest
    from microtome.analysis.direct import direct_logit_attribution
    from microtome.analysis.feature_space import feature_space
    from microtome.analysis.heads import head_scores
    from microtome.analysis.lens import logit_lens
    from microtome.analysis.price import edit_price
    from microtome.analysis.probes import probe
    from microtome.analysis.projection import project
    from microtome.circuits.attribution.changes import FeatureChange, FeatureEdit
    from microtome.circuits.attribution.estimate import estimate_attribution
    from microtome.circuits.attribution.graph import attribution_graph
    from microtome.circuits.attribution.intervening import feature_intervention
    from microtome.circuits.comparing import graph_consensus, graph_difference
    from microtome.circuits.component import component_graph
    from microtome.circuits.discovery.comparing import edge_auc
    from microtome.circuits.discovery.discover import discover_circuit
    from microtome.circuits.discovery.estimate import estimate_discovery
    from microtome.circuits.discovery.faithful import faithfulness
    from microtome.circuits.discovery.judging import judge_circuit, stability
    from microtome.circuits.discovery.paths import path_patching
    from microtome.circuits.formats.files import read_graph, write_graph
    from microtome.circuits.grouping import propose_groups
    from microtome.circuits.influences import prune_by_influence
    from microtome.circuits.prune import prune
    from microtome.circuits.scrubbing.scrub import causal_scrub
    from microtome.corpora.reading import Corpus, read_corpus
    from microtome.errors import MicrotomeError
    from microtome.examining import examine
    from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders
    from microtome.features.firing import where_it_fires
    from microtome.features.formats.files import (
        inspect_dictionary,
        load_dictionary,
        load_transcoders,
    )
    from microtome.features.formats.saving import save_dictionary, save_transcoders
    from microtome.features.indexing import feature_index
    from microtome.features.label_files import read_labels
    from microtome.features.labelling import (
        Labeller,
        LocalLabeller,
        label_detection,
        label_features,
        score_label,
    )
    from microtome.features.neurons import Neurons
    from microtome.features.sharing import shared_features, shared_neurons
    from microtome.features.splitting import feature_splits
    from microtome.features.superposition import phase_diagram, superposition, train_toy
    from microtome.features.token_labels import propose_label, propose_labels
    from microtome.features.training.layers import train_transcoders
    from microtome.features.training.single import train_dictionary
    from microtome.images.reading import read_image, read_images
    from microtome.images.sets import load_image_set
    from microtome.interventions.edits import Ablate, Patch, Steer
    from microtome.interventions.generation import generate
    from microtome.interventions.sweeps import (
        ablation_sweep,
        causal_trace,
        estimate_sweep,
        patching_sweep,
    )
    from microtome.metrics import (
        KL,
        CustomMetric,
        LogitDifference,
        LogitOverMean,
        LogProbability,
        Loss,
        Probability,
        Rank,
    )
    from microtome.models.coverage import coverage
    from microtome.models.loading import load_model
    from microtome.models.module_tree import module_tree
    from microtome.models.vision.adapter import load_adapter
    from microtome.prompts import ImageInput, PromptPair, Question
    from microtome.records.circuit import Circuit
    from microtome.records.faithfulness import Faithfulness
    from microtome.records.feature_card import FeatureCard, feature_card
    from microtome.records.feature_index import FeatureIndex
    from microtome.records.feature_labels import FeatureLabel, LabelSet
    from microtome.records.hypothesis import Arrow, Box, Hypothesis
    from microtome.records.image_set import ImageSet
    from microtome.records.lesion import Treatment
    from microtome.records.provenance import Provenance, differs, provenance
    from microtome.records.session import Session
    from microtome.records.shared_features import meanings
    from microtome.records.suite import Case, Suite
    from microtome.records.superposition import ToyModels, ToyPlan
    from microtome.records.sweep import Sweep
    from microtome.records.trace import Trace
    from microtome.records.visualisation import VisualSettings
    from microtome.selfcheck.suite import check_dictionary, self_check
    from microtome.session.reader import open_session
    from microtome.session.verify import verify_session
    from microtome.session.writer import save_session
    from microtome.sites import Site
    from microtome.suites.adversarial import adversarial_search
    from microtome.suites.loading import load_suite
    from microtome.suites.redundancy import redundancy
    from microtome.suites.running import run_suite
    from microtome.suites.slices import slice_circuits
    from microtome.vision.attribution import attribution_map
    from microtome.vision.cards import read_layer, unit_card, unit_table
    from microtome.vision.circuit import channel_graph
    from microtome.vision.evidence import unit_evidence
    from microtome.vision.faithful import channel_faithfulness
    from microtome.vision.feature_images import feature_images
    from microtome.vision.feature_selectivity import feature_selectivity
    from microtome.vision.lesion import choose_units, lesion
    from microtome.vision.maps import image_maps
    from microtome.vision.patches import attention_maps, attention_rollout, patch_lens
    from microtome.vision.point_activity import point_activity
    from microtome.vision.space import image_space
    from microtome.vision.targets import Target
    from microtome.vision.towards import class_direction
    from microtome.vision.visualise import visualise


def __getattr__(name: str) -> Any:
    public = _public()
    if name not in public:
        raise AttributeError(f"module 'microtome' has no attribute {name!r}")
    value = getattr(import_module(f"microtome.{public[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def _public() -> dict[str, str]:
    from microtome.public_names import PUBLIC

    return PUBLIC
