"""Discovery: scores of all edges beside plain forward passes, ACDC to its end, circuits by method.

Forward passes and scores are timed turn by turn in one process, one thread, processor time, on
random weights of GPT-2 small's shape. ACDC is timed on ``words-4l`` by the clock, with the threads
torch takes, and beside the same search done edge by edge with whole passes on a few pairs. The last
measurement prints the areas of all methods on all tasks of ``words-4l``.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch
from sweep_work import PEER, Peer, Question, save_model

import microtome as mt
from microtome.circuits.discovery.acdc import acdc
from microtome.circuits.discovery.batches import batches
from microtome.circuits.discovery.discover import METHODS
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.task import Task
from microtome.jobs import Job
from microtome.models.loading import load_model
from microtome.prompt_sets import load_prompt_set, prompt_set_names
from microtome.records.edges import edge_names

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
ROUNDS, TAU = 5, 0.01
EAP, IG = {16: 2.5, 64: None}, {16: 6.0, 64: 10.0}  # forward passes, at most


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model("gpt2", tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def small(folder):
    return load_model(folder)


@pytest.fixture(scope="module")
def words():
    return load_model("words-4l")


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def pairs_of(model, name, most):
    """Pairs of a set whose prompts have as many tokens, and their metrics."""
    fitting = [
        each
        for each in load_prompt_set(name).pairs
        if len(model.tokenize(each.clean)) == len(model.tokenize(each.corrupt))
    ][:most]
    metrics = [mt.LogitDifference(each.answer, each.wrong) for each in fitting]
    return [each.pair for each in fitting], metrics


@pytest.mark.parametrize("tokens", [16, 64])
def test_edge_scores_beside_forward_passes(small, tokens, one_thread, measuring):
    question = Question.of(tokens)
    pair = mt.PromptPair(question.clean, question.corrupt)
    metric, ids = (
        mt.LogitDifference(question.answer, question.wrong),
        torch.tensor([question.clean]),
    )
    works = {
        "forward": lambda: small.module(ids),
        "eap": lambda: mt.discover_circuit(small, pair, metric, "eap"),
        "two-point": lambda: mt.discover_circuit(small, pair, metric, "two-point"),
        "eap-ig": lambda: mt.discover_circuit(small, pair, metric, "eap-ig", steps=5),
    }
    rounds = []
    with torch.no_grad():
        for work in works.values():
            work()
        rounds += [{name: _seconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    print()
    measuring.figure(
        f"forward pass, {tokens} tokens", [each["forward"] for each in rounds], "CPU s"
    )
    wanted = {"eap": EAP[tokens], "two-point": None, "eap-ig": IG[tokens]}
    missed = []
    for name, most in wanted.items():
        ratios = [each[name] / each["forward"] for each in rounds]
        value = measuring.figure(f"{name}, all edges, {tokens} tokens", ratios, "passes", most=most)
        missed += [name] if most is not None and value > most * measuring.NEAR else []
    assert not missed


def test_eap_beside_transformer_lens(folder, small, one_thread, measuring):
    """Their gradient is that of the corrupt run, and they patch towards clean: the pair turned."""
    python = os.environ.get(PEER)
    if python is None:
        pytest.skip(f"{PEER} names no Python with transformer-lens; see docs/benchmarks.md")
    question = Question.of(16)
    pair = mt.PromptPair(question.corrupt, question.clean)
    metric = mt.LogitDifference(question.answer, question.wrong)
    peer = Peer(python, folder, "peer_edges.py")
    asked = {name: getattr(question, name) for name in ("clean", "corrupt", "answer", "wrong")}
    found = mt.discover_circuit(small, pair, metric, "eap", by_position=True)
    named = zip(edge_names(found), found.edge_weight.tolist(), strict=True)
    ours = {edge: -weight for edge, weight in named}
    theirs = {_placed(*each): each[2] for each in peer.ask({**asked, "scores": True})["scores"]}
    largest = max(map(abs, theirs.values()))
    apart = max(abs(ours.get(edge, 0.0) - score) for edge, score in theirs.items())
    print(f"\n{len(theirs)} edges by position, apart by {apart / largest:.1e} of the largest")
    assert ours.keys() <= theirs.keys()
    assert apart <= 1e-5 * largest
    ratios, passes = [], []
    for _ in range(ROUNDS):
        own = _seconds(lambda: mt.discover_circuit(small, pair, metric, "eap"))
        their = peer.ask({**asked, "scores": False})["seconds"]
        ratios.append(their / own)
        passes.append(their)
    versions = peer.versions
    peer.close()
    measuring.figure(f"edge attribution of TransformerLens {versions}", passes, "CPU s")
    least = 15
    assert measuring.figure("EAP beside it", ratios, "×", least=least) >= least / measuring.NEAR


def _placed(edge, at, _):
    """An edge's name with positions, as circuits by position have it."""
    writer, _, reader = edge.partition("->")
    node, angle, side = reader.partition("<")
    return f"{writer}@{at}->{node}@{at}{angle}{side}"


def test_acdc_to_its_end(words, measuring):
    pairs, _ = pairs_of(words, "name", 64)
    start = time.perf_counter()
    found = mt.discover_circuit(words, pairs, mt.KL(), "acdc", tau=TAU)
    seconds = time.perf_counter() - start
    kept = found.metadata["kept"]
    tried = found.metadata["tried"]
    print(f"\n{len(pairs)} pairs, {tried} edges tried, {kept} of {found.n_edges} kept")
    assert measuring.figure("ACDC, 64 pairs of the name task", [seconds], "s", most=60) <= 63


def test_acdc_beside_whole_passes(words, one_thread, measuring):
    """The same edges go in the same order when each is tried alone by a pass of all layers."""
    pairs, _ = pairs_of(words, "name", 64)
    task = Task.of(words, pairs, mt.KL())
    ratios = []
    for _ in range(ROUNDS):
        start = time.process_time()
        fast = acdc(task, TAU, Job())
        quick, start = time.process_time() - start, time.process_time()
        slow = _edge_by_edge(task)
        whole = time.process_time() - start
        print(f"\n{fast.tried} edges tried: {quick:.2f} CPU s, {whole:.2f} edge by edge")
        assert (fast.kept == slow).all()
        ratios.append(whole / quick)
    least = 5
    found = measuring.figure("ACDC beside whole passes", ratios, "×", least=least)
    assert found >= least / measuring.NEAR


def _edge_by_edge(task):
    edges, job = task.edges, Job()
    held = list(batches(task, job))
    removed = np.zeros_like(edges.exists)

    def value(mask):
        with torch.no_grad():
            return np.concatenate([measure(b, [mask], job, whole=True)[0] for b in held]).mean()

    now = value(removed)
    for reader in _downward(edges):
        node = int(edges.node_of[reader])
        alone = node >= 0 and not (edges.exists & ~removed)[node].any()
        for writer in np.flatnonzero(edges.exists[:, reader])[::-1]:
            tried = removed.copy()
            tried[writer, reader] = True
            if alone:
                removed = tried
                continue
            then = value(tried)
            if then - now < TAU:
                removed, now = tried, then
    return edges.exists & ~removed


def _downward(edges):
    yield edges.n_readers - 1
    for layer in reversed(range(edges.n_layers)):
        yield edges.mlp_reader(layer)
        start = edges.head_readers(layer).start
        for head in reversed(range(edges.n_heads)):
            yield from (start + side * edges.n_heads + head for side in (2, 1, 0))


def _timed(work):
    """What work gives, and the shorter of its times in two rounds."""
    times = []
    for _ in range(2):
        start = time.process_time()
        found = work()
        times.append(time.process_time() - start)
    return found, min(times)


def test_estimates_are_within_a_factor_of_two(words, one_thread, monkeypatch):
    """All methods and their curves, in processor time: what else the machine does is left out."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    print()
    far = {}
    for name, count in (("name", 1), ("name", 16), ("induction", 16)):
        pairs, metrics = pairs_of(words, name, count)
        for method in METHODS:
            asked = mt.KL() if method == "acdc" else metrics
            said = mt.estimate_discovery(words, pairs, asked, method)
            found, taken = _timed(lambda: mt.discover_circuit(words, pairs, asked, method))  # noqa: B023
            _, curve = _timed(lambda: mt.faithfulness(words, found, pairs, metrics))  # noqa: B023
            ratios = said.seconds / taken, said.curve_seconds / curve
            print(
                f"{name}, {len(pairs)} pairs, {method}: {ratios[0]:.2f} of {taken:.3f} CPU s, "
                f"its curve {ratios[1]:.2f} of {curve:.3f}"
            )
            if not all(0.5 < ratio < 2 for ratio in ratios):
                far[name, count, method] = ratios
            assert taken < 1.5 * said.most_seconds or method != "acdc"
    assert not far


def test_areas_of_all_methods_on_all_tasks(words, one_thread):
    names = [name for name in prompt_set_names("words-4l") if pairs_of(words, name, 16)[0]]
    print("\n| task | pairs | method | CPR | CMD | smallest share that keeps 90 % | CPU s |")
    print("|---|---|---|---|---|---|---|")
    reached = {}
    for name in names:
        pairs, metrics = pairs_of(words, name, 16)
        for method in METHODS:
            asked = mt.KL() if method == "acdc" else metrics
            start = time.process_time()
            circuit = mt.discover_circuit(words, pairs, asked, method, tau=TAU)
            spent = time.process_time() - start
            curve = mt.faithfulness(words, circuit, pairs, metrics)
            reached[name, method] = curve.smallest
            print(
                f"| {name} | {len(pairs)} | {method} | {curve.cpr:.3f} | {curve.cmd:.3f} | "
                f"{'none' if curve.smallest is None else f'{curve.smallest:.1%}'} | {spent:.1f} |"
            )
    for name in ("name", "agreement", "induction"):
        assert reached[name, "two-point"] <= 0.1
