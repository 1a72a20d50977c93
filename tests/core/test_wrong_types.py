"""Calls of the public functions with things of the wrong kind: refused by name, with the way out.

They run in a process of their own, because the type checker of the tests would refuse them first.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import microtome

# A call, and what the message must name: the argument, and what it was given.
CALLS = {
    "mt.load_model(None)": ("model", "None"),
    "mt.load_model(3)": ("model", "3"),
    "mt.trace(None, TEXT)": ("model", "None"),
    "mt.trace('words-4l', TEXT)": ("model", "load_model"),
    "mt.trace(model.identity, TEXT)": ("model", "ModelIdentity"),
    "mt.trace(model, None)": ("prompt", "None"),
    "mt.trace(model, 3)": ("prompt", "3"),
    "mt.trace(model, b'text')": ("prompt", "bytes"),
    "mt.trace(model, ['The', 'keys'])": ("token id", "'The'"),
    "mt.trace(model, TEXT, sites='resid_post')": ("sites", "['resid_post']"),
    "mt.trace(model, TEXT, sites=3)": ("sites", "3"),
    "mt.trace(model, TEXT, sites=[3])": ("site", "3"),
    "mt.trace(model, TEXT, edits=mt.Ablate('z.0.0'))": ("edits", "list"),
    "mt.trace(model, TEXT, edits=['z.0.0'])": ("edit", "'z.0.0'"),
    "mt.trace(model, TEXT, job=True)": ("job", "True"),
    "mt.logit_lens(None)": ("trace", "None"),
    "mt.logit_lens(model)": ("trace", "Model"),
    "mt.attention_maps(None)": ("trace", "None"),
    "mt.attention_rollout(model)": ("trace", "Model"),
    "mt.patch_lens('words-4l')": ("trace", "'words-4l'"),
    "mt.direct_logit_attribution(None, metric)": ("trace", "None"),
    "mt.direct_logit_attribution(trace, 'Mary')": ("metric", "'Mary'"),
    "mt.direct_logit_attribution(trace, None)": ("metric", "None"),
    "mt.head_scores(None)": ("model", "None"),
    "mt.causal_trace(model, TEXT, span=3)": ("span", "3"),
    "mt.causal_trace(model, TEXT, span=(1, 2), noise='much')": ("noise", "'much'"),
    "mt.causal_trace(model, TEXT, span=(1, 2), samples=2.5)": ("samples", "2.5"),
    "mt.component_graph(None, TEXT)": ("model", "None"),
    "mt.component_graph(model, None)": ("prompt", "None"),
    "mt.component_graph(model, TEXT, 'Mary')": ("metric", "'Mary'"),
    "mt.component_graph(model, TEXT, metric, rule='single')": ("rule", "'single'"),
    "mt.feature_index(None, None, 'a.txt')": ("model", "None"),
    "mt.feature_index(model, None, 'a.txt')": ("dictionary", "None"),
    "mt.feature_card(None, 1)": ("index", "None"),
    "mt.where_it_fires(None, None, TEXT)": ("model", "None"),
    "mt.where_it_fires(model, None, TEXT)": ("dictionary", "None"),
    "mt.LocalLabeller(None)": ("model", "None"),
    "mt.label_detection(None, None, None, 1)": ("model", "None"),
    "mt.label_features(None, None, None, None)": ("model", "None"),
    "mt.propose_label(None)": ("card", "None"),
    "mt.propose_labels(None)": ("index", "None"),
    "mt.read_labels(None, 'ab')": ("path", "None"),
    "mt.score_label(None, 'ab', None)": ("labeller", "None"),
    "mt.meanings(None)": ("card", "None"),
    "mt.shared_features(None, (1, 2), None, 'a.txt')": ("model", "None"),
    "mt.shared_features(model, 3, None, 'a.txt')": ("neuron", "3"),
    "mt.shared_neurons(None, None, 1, 'a.txt')": ("model", "None"),
    "mt.shared_neurons(model, 3, 1, 'a.txt')": ("dictionary", "3"),
    "mt.feature_space(None)": ("dictionary", "None"),
    "mt.feature_splits(None, None, None, 'a.txt')": ("model", "None"),
    "mt.feature_splits(model, None, None, 'a.txt')": ("small", "None"),
    "mt.probe(None, [TEXT], ['a'])": ("model", "None"),
    "mt.probe(model, TEXT, ['a'])": ("prompts", "Mary"),
    "mt.Neurons(None, 1)": ("model", "None"),
    "mt.train_toy(None)": ("plan", "None"),
    "mt.phase_diagram(squares=None)": ("squares", "None"),
    "mt.superposition(None)": ("of", "None"),
    "mt.read_corpus(None)": ("corpus", "None"),
    "mt.harvest(None, 'a.txt', ['z'], 'x')": ("model", "None"),
    "mt.harvest(model, None, ['z'], 'x')": ("corpus", "None"),
    "mt.harvest(model, 'a.txt', 'z', 'x')": ("sites", "'z'"),
    "mt.estimate_harvest(None, 'a.txt', ['z'], 'x')": ("model", "None"),
    "mt.open_harvest(None)": ("folder", "None"),
    "mt.graph_consensus([None, None])": ("circuits", "None"),
    "mt.graph_difference(None, None)": ("circuits", "None"),
    "mt.check_dictionary(None, None)": ("model", "None"),
    "mt.check_dictionary(model, None)": ("dictionary", "None"),
    "mt.provenance(None)": ("figure", "None"),
    "mt.provenance(mt.Session(model.identity))": ("figure", "Session"),
    "mt.differs(mt.provenance(trace), trace)": ("other", "Trace"),
    "mt.propose_groups(None)": ("circuit", "None"),
    "mt.propose_groups(mt.discover_circuit(model, PAIR), likeness='x')": ("likeness", "'x'"),
    "mt.prune(None)": ("circuit", "None"),
    "mt.prune_by_influence(None)": ("circuit", "None"),
    "mt.prune(mt.Session(model.identity))": ("circuit", "Session"),
    "mt.project(None)": ("activations", "None"),
    "mt.project([[1.0, 2.0]])": ("activations", "list"),
    "mt.project('text')": ("activations", "str"),
    "mt.self_check('words-4l')": ("model", "'words-4l'"),
    "mt.coverage('words-4l')": ("model", "'words-4l'"),
    "mt.train_dictionary('words-4l', 'text.txt', 'resid_post.2')": ("model", "'words-4l'"),
    "mt.train_dictionary(model, 3, 'resid_post.2')": ("corpus", "3"),
    "mt.train_dictionary(model, 'text.txt', 3)": ("site", "3"),
    "mt.train_dictionary(model, 'text.txt', 'resid_post.2', steps='many')": ("steps", "'many'"),
    "mt.train_dictionary(model, 'text.txt', 'resid_post.2', folder=3)": ("folder", "3"),
    "mt.train_transcoders(None, 'text.txt')": ("model", "None"),
    "mt.train_transcoders(model, 3)": ("corpus", "3"),
    "mt.evaluate_dictionary(None, None, None)": ("model", "None"),
    "mt.evaluate_dictionary(model, 'mine', None)": ("dictionary", "'mine'"),
    "mt.evaluate_transcoders(model, None, None)": ("transcoders", "None"),
    "mt.examine('words-4l', mt.Question(TEXT))": ("model", "'words-4l'"),
    "mt.examine(model, TEXT)": ("question", "Question"),
    "mt.examine(model, None)": ("question", "None"),
    "mt.inspect_dictionary(None)": ("path", "None"),
    "mt.load_dictionary(3)": ("path", "3"),
    "mt.load_transcoders(None)": ("path", "None"),
    "mt.save_dictionary(None, FILE)": ("dictionary", "None"),
    "mt.save_transcoders(3, FILE)": ("transcoders", "3"),
    "mt.read_graph(None)": ("path", "None"),
    "mt.read_graph(3)": ("path", "3"),
    "mt.write_graph(FILE, 3)": ("circuit", "3"),
    "mt.write_graph(None, 3)": ("path", "None"),
    "mt.Box(3, ('input',), 'token(at)')": ("name", "3"),
    "mt.Box('a', 'input', 'token(at)')": ("nodes", "'input'"),
    "mt.Arrow('a', 'b', None)": ("reader", "None"),
    "mt.Hypothesis('x', ())": ("boxes", "'x'"),
    "mt.causal_scrub(None, None, [TEXT])": ("model", "None"),
    "mt.causal_scrub(model, 'x', [TEXT])": ("hypothesis", "'x'"),
    "mt.image_maps(None, None)": ("model", "None"),
    "mt.image_space('shapes-resnet', 'pool', None)": ("model", "'shapes-resnet'"),
    "mt.load_adapter(None, FILE)": ("adapter", "None"),
    "mt.load_adapter(sys.executable, 3)": ("weights", "3"),
    "mt.module_tree('words-4l')": ("model", "'words-4l'"),
    "mt.unit_evidence('shapes-resnet', None)": ("model", "'shapes-resnet'"),
    "mt.attribution_map(None, None)": ("model", "None"),
    "mt.read_layer(None, 'pool', None)": ("model", "None"),
    "mt.unit_card(None, 'pool/3', None)": ("model", "None"),
    "mt.unit_table(None, 'pool', None)": ("model", "None"),
    "mt.attribution_graph('words-4l', None, TEXT)": ("model", "'words-4l'"),
    "mt.attribution_graph(model, 'mine', TEXT)": ("transcoders", "'mine'"),
    "mt.attribution_graph(model, None, TEXT, max_feature_nodes='all')": ("nodes", "'all'"),
    "mt.estimate_attribution(model, None, TEXT)": ("transcoders", "None"),
    "mt.feature_intervention('words-4l', None, TEXT, [])": ("model", "'words-4l'"),
    "mt.feature_intervention(model, None, TEXT, [])": ("transcoders", "None"),
    "mt.FeatureChange('two', 3)": ("layer", "'two'"),
    "mt.FeatureChange(2, 3, 'set', 'much')": ("amount", "'much'"),
    "mt.FeatureEdit(None, ())": ("transcoders", "None"),
    "mt.open_session(None)": ("path", "None"),
    "mt.open_session(3)": ("path", "3"),
    "mt.verify_session(None)": ("path", "None"),
    "mt.save_session(FILE, 3)": ("session", "3"),
    "mt.save_session(FILE, trace)": ("session", "Trace"),
    "mt.save_session(None, mt.Session(model.identity))": ("path", "None"),
    "mt.save_session(mt.Session(model.identity), FILE)": ("path", "Session"),
    "mt.save_session(FILE, mt.Session(model.identity), include='logits')": (
        "include",
        "['logits']",
    ),
    "mt.Question(None)": ("prompt", "None"),
    "mt.Question(TEXT, corrupt=3)": ("prompt", "3"),
    "mt.Question(TEXT, answer=1.5)": ("answer", "1.5"),
    "mt.Question(TEXT, answer='Mary', wrong=['John'])": ("wrong", "list"),
    "mt.PromptPair(TEXT, None)": ("prompt", "None"),
    "mt.LogitDifference(None, 'John')": ("answer", "None"),
    "mt.LogitDifference('Mary', 1.5)": ("wrong", "1.5"),
    "mt.LogitDifference('Mary', 'John', 'last')": ("position", "'last'"),
    "mt.LogitOverMean(None)": ("answer", "None"),
    "mt.Site(3)": ("site", "3"),
    "mt.Site('z', 'two')": ("layer", "'two'"),
    "mt.Site('z', 2, 1.5)": ("head", "1.5"),
    "mt.Ablate(None)": ("site", "None"),
    "mt.Ablate('z.0.0', positions=['last'])": ("position", "'last'"),
    "mt.Ablate('z.0.0', positions=3)": ("positions", "3"),
    "mt.Patch(3, 0.0)": ("site", "3"),
    "mt.Patch('z.0.0', None)": ("value", "None"),
    "mt.Patch('z.0.0', 'text')": ("value", "'text'"),
    "mt.Patch.from_prompt('z.0.0', None)": ("prompt", "None"),
    "mt.Patch.from_prompt('z.0.0', TEXT, from_positions=3)": ("from_positions", "3"),
    "mt.generate('words-4l', TEXT)": ("model", "'words-4l'"),
    "mt.generate(model, TEXT, 2.5)": ("n_tokens", "2.5"),
    "mt.generate(model, TEXT, temperature='hot')": ("temperature", "'hot'"),
    "mt.generate(model, TEXT, edits='z.0.0')": ("edit", "'z'"),
    "mt.edit_price('words-4l', [], [])": ("model", "'words-4l'"),
    "mt.edit_price(model, 'z.0.0', [])": ("edit", "'z'"),
    "mt.edit_price(model, [], ['name'])": ("prompt set", "'name'"),
    "mt.Steer(3, [1.0])": ("site", "3"),
    "mt.Steer('z.0.0', None)": ("direction", "None"),
    "mt.Steer('z.0.0', [1.0], 'much')": ("strength", "'much'"),
    "mt.patching_sweep('words-4l', PAIR)": ("model", "'words-4l'"),
    "mt.patching_sweep(model, TEXT)": ("pairs", "'"),
    "mt.patching_sweep(model, None)": ("pairs", "None"),
    "mt.patching_sweep(model, PAIR, 'Mary')": ("metric", "'Mary'"),
    "mt.patching_sweep(model, PAIR, metric, 3)": ("site", "3"),
    "mt.ablation_sweep(model, PAIR)": ("prompts", "PromptPair"),
    "mt.ablation_sweep(model, 3)": ("prompts", "3"),
    "mt.ablation_sweep(model, TEXT, how='mean', over=3)": ("over", "3"),
    "mt.causal_trace(model, None, span=(0, 1))": ("prompt", "None"),
    "mt.estimate_sweep(model, 3)": ("prompts", "3"),
    "mt.path_patching(None, PAIR, 'input->logits')": ("model", "None"),
    "mt.path_patching(model, PAIR, 3)": ("paths", "3"),
    "mt.path_patching(model, PAIR, [3])": ("path", "3"),
    "mt.path_patching(model, PAIR, 'input->logits', job=True)": ("job", "True"),
    "mt.discover_circuit('words-4l', PAIR)": ("model", "'words-4l'"),
    "mt.discover_circuit(model, None)": ("data", "None"),
    "mt.discover_circuit(model, [3])": ("pairs",),
    "mt.discover_circuit(model, PAIR, 'Mary')": ("metric", "'Mary'"),
    "mt.discover_circuit(model, PAIR, method=['eap'])": ("method", "['eap']"),
    "mt.discover_circuit(model, PAIR, ablation=['zero'])": ("ablation", "['zero']"),
    "mt.discover_circuit(model, PAIR, steps='5')": ("steps", "'5'"),
    "mt.discover_circuit(model, PAIR, tau='0.1')": ("τ", "'0.1'"),
    "mt.discover_circuit(model, [TEXT], ablation='mean', over=3)": ("over", "3"),
    "mt.discover_circuit(model, PAIR, job=True)": ("job", "True"),
    "mt.estimate_discovery('words-4l', PAIR)": ("model", "'words-4l'"),
    "mt.estimate_discovery(model, None)": ("data", "None"),
    "mt.estimate_discovery(model, PAIR, method=3)": ("method", "3"),
    "mt.estimate_discovery(model, PAIR, tau='0.1')": ("τ", "'0.1'"),
    "mt.faithfulness('words-4l', None, PAIR)": ("model", "'words-4l'"),
    "mt.faithfulness(model, None, PAIR)": ("circuit", "None"),
    "mt.faithfulness(model, model, PAIR)": ("circuit", "Model"),
    "mt.faithfulness(model, mt.discover_circuit(model, PAIR), PAIR, sizes=0.5)": ("sizes", "0.5"),
    "mt.judge_circuit(model, None, PAIR)": ("circuit", "None"),
    "mt.judge_circuit(model, mt.discover_circuit(model, PAIR), PAIR, share='5 %')": ("5 %",),
    "mt.judge_circuit(model, mt.discover_circuit(model, PAIR), PAIR, draws=0.5)": ("draws", "0.5"),
    "mt.stability(model, None)": ("data", "None"),
    "mt.stability(model, [PAIR, PAIR], splits='2')": ("halved", "'2'"),
    "mt.edge_auc(None, ['input->m0'])": ("circuit", "None"),
    "mt.edge_auc(mt.discover_circuit(model, PAIR), 'input->m0')": ("known", "'input->m0'"),
    "mt.edge_auc(mt.discover_circuit(model, PAIR), [3])": ("edge 3",),
    "mt.Case(3, 'are')": ("prompt", "3"),
    "mt.Case(TEXT, None)": ("answer", "None"),
    "mt.Case(TEXT, 'are', slices='all')": ("slices", "'all'"),
    "mt.Suite('x', 3)": ("cases", "3"),
    "mt.Suite('x', [TEXT])": ("case", "'"),
    "mt.load_suite(None)": ("source", "None"),
    "mt.load_suite('name', limit='3')": ("limit", "'3'"),
    "mt.load_suite('name', words=['Mary'])": ("words", "list"),
    "mt.run_suite('words-4l', None)": ("model", "'words-4l'"),
    "mt.run_suite(model, 'name')": ("suite", "'name'"),
    "mt.run_suite(model, mt.load_suite('name'), 'z.0.0')": ("edit", "'z'"),
    "mt.run_suite(model, mt.load_suite('name'), remove='a1.h1')": ("remove", "'a1.h1'"),
    "mt.adversarial_search('words-4l', TEXT, 'Mary')": ("model", "'words-4l'"),
    "mt.adversarial_search(model, None, 'Mary')": ("prompt", "None"),
    "mt.adversarial_search(model, TEXT, 'Mary', swaps='1')": ("swaps", "'1'"),
    "mt.adversarial_search(model, TEXT, 'Mary', words='Mary')": ("words", "'Mary'"),
    "mt.adversarial_search(model, TEXT, 'Mary', positions=3)": ("positions", "3"),
    "mt.adversarial_search(model, TEXT, 'Mary', task=3)": ("task", "3"),
    "mt.redundancy('words-4l', None)": ("model", "'words-4l'"),
    "mt.redundancy(model, 'name')": ("suite", "'name'"),
    "mt.redundancy(model, mt.load_suite('name'), parts='heads')": ("parts", "'heads'"),
    "mt.redundancy(model, mt.load_suite('name'), threshold='all')": ("threshold", "'all'"),
    "mt.slice_circuits(model, 'name')": ("suite", "'name'"),
    "mt.slice_circuits(model, mt.load_suite('name'), 'all')": ("slices", "'all'"),
    "mt.ImageInput(None)": ("image", "None"),
    "mt.ImageSet(3, None, None, (), ())": ("name", "3"),
    "mt.ImageSet('few', None, None, (), ())": ("few", "images", "None"),
    "mt.ImageSet('few', 'abc', None, (), ())": ("images", "'abc'"),
    "mt.ImageSet('few', None, None, None, ())": ("classes", "None"),
    "mt.load_image_set(None)": ("name", "None"),
    "mt.channel_graph(None, TEXT)": ("model", "None"),
    "mt.channel_faithfulness(model, None, TEXT)": ("circuit", "None"),
    "mt.feature_images(None, None, None, 0)": ("model", "None"),
    "mt.feature_selectivity(None, None, None)": ("model", "None"),
    "mt.image_space(None, 'pool', None)": ("model", "None"),
    "mt.point_activity(None, None, 'pool')": ("model", "None"),
    "mt.lesion(None, ['z.0/1'])": ("model", "None"),
    "mt.lesion(model, 'z.0/1')": ("units", "'z.0/1'"),
    "mt.lesion(model, ['z.0/1'], controls=2.5)": ("controls", "2.5"),
    "mt.lesion(model, [3])": ("unit", "3"),
    "mt.choose_units(None, 'name', 'z.0', 1)": ("model", "None"),
    "mt.choose_units(model, 3, 'z.0', 1)": ("target", "3"),
    "mt.choose_units(model, 'name', 'z.0', 1.5)": ("count", "1.5"),
    "mt.visualise('words-4l', 'Ada')": ("model", "'words-4l'"),
    "mt.visualise(model, 'Ada')": ("words-4l", "reads text"),
    "mt.class_direction(None, 'pool', None, 'face')": ("model", "None"),
    "mt.class_direction(model, 'pool', 'shapes', 'face')": ("images", "'shapes'"),
    "mt.Target.feature('words-4l', 3)": ("dictionary", "'words-4l'"),
    "mt.Treatment(3)": ("3", "zero"),
    "mt.Treatment('add', 'much')": ("amount", "'much'"),
    "mt.load_image_set('few', edge=0.5)": ("edge", "0.5"),
    "mt.read_image(None)": ("path", "None"),
    "mt.read_image(b'abc')": ("path", "bytes"),
    "mt.read_images(3)": ("folder", "3"),
    "mt.read_images(FILE, limit='all')": ("limit", "'all'"),
    "mt.KL('last')": ("position", "'last'"),
    "mt.Rank(None)": ("answer", "None"),
    "mt.Probability(1.5)": ("answer", "1.5"),
    "mt.LogProbability(None)": ("answer", "None"),
    "mt.CustomMetric('Mary')": ("function", "'Mary'"),
}
# What is made by the program rather than by its user, or takes nothing.
NOT_CALLED = {
    "Circuit",
    "Corpus",
    "Faithfulness",
    "FeatureCard",
    "FeatureIndex",
    "FeatureLabel",
    "Harvest",
    "LabelSet",
    "Labeller",
    "Loss",
    "MicrotomeError",
    "Provenance",
    "Session",
    "Sweep",
    "Target",
    "ToyModels",
    "ToyPlan",
    "Trace",
    "VisualSettings",
}

CHILD = """
import json, sys, warnings
warnings.simplefilter("error")
import microtome as mt
TEXT, FILE = "Mary and John went to the store", sys.argv[1]
model = mt.load_model("words-4l")
trace = mt.trace(model, TEXT)
metric = mt.LogitDifference("Mary", "John")
PAIR = mt.PromptPair(TEXT, "John and John went to the store")
found = {}
for call in json.load(sys.stdin):
    try:
        eval(call)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        found[call] = (kinds, str(error), getattr(error, "way_out", ""))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder / "never.h5")],
        input=json.dumps(list(CALLS)), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert list(folder.iterdir()) == []
    return json.loads(ran.stdout)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_kind_is_refused_by_name_with_the_way_out(refusals, call):
    assert call in refusals, "it was accepted"
    kinds, message, way_out = refusals[call]
    assert "InputError" in kinds, f"{kinds[0]}: {message}"
    assert way_out
    assert "\n" not in message
    for word in CALLS[call]:
        assert word in message


def test_every_public_function_is_called_wrongly():
    missing = {
        name
        for name in set(microtome.__all__) - NOT_CALLED
        if not any(call.startswith(f"mt.{name}(") for call in CALLS)
    }
    assert not missing
