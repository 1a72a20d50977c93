"""The lesion laboratory: what is lost with some units, beside plain runs and random lesions."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import microtome as mt
from microtome.cli.commands import main
from microtome.errors import InputError, ModelError, SiteMissing
from microtome.jobs import Job
from microtome.prompt_sets import load_prompt_set
from microtome.records.image_set import ImageSet
from microtome.records.lesion import HOWS, Chosen, lesion_of, units_of_circuit
from microtome.records.units import Unit
from microtome.vision.seen_bench import SeenBench
from microtome.vision.trials import bench_of, halves

_CLASSES = {0: "ring", 1: "bar", 2: "dot"}
FEW = 15
_HEADS = tuple(f"z.{layer}" for layer in range(4))
_SEEING = {
    "resnet": transformers.ResNetConfig(
        num_channels=1, embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic",
        id2label=_CLASSES, label2id={name: at for at, name in _CLASSES.items()},
    ),
    "vit": transformers.ViTConfig(
        num_channels=1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=12, image_size=16, patch_size=4,
        id2label=_CLASSES, label2id={name: at for at, name in _CLASSES.items()},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    made = {}

    def model(name):
        if name not in made:
            torch.manual_seed(3)
            folder = tmp_path_factory.mktemp(name)
            kinds = {"resnet": "ResNetForImageClassification", "vit": "ViTForImageClassification"}
            held = getattr(transformers, kinds[name])(_SEEING[name])
            for weight in held.parameters():
                weight.data += 0.3 * torch.randn_like(weight)
            held.save_pretrained(folder)
            (folder / "preprocessor_config.json").write_text(json.dumps({
                "size": {"height": 16, "width": 16}, "do_resize": True, "resample": 0,
                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
                "image_mean": [0.5], "image_std": [0.5],
            }))  # fmt: skip
            made[name] = mt.load_model(folder)
        return made[name]

    return model


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return ImageSet(
        "noise", random.integers(0, 255, (30, 16, 16, 1), dtype=np.uint8), np.arange(30) % 3,
        ("dot", "ring", "bar"), ("round", "round", "long"),
    )  # fmt: skip


def plainly(model, images, layer, change):
    """How far the right class is ahead, with a layer changed, one image at a time."""
    ahead = []
    for at in range(len(images)):
        with model.sight.changing({layer: change}), torch.no_grad():
            logits = model.sight.logits(model.sight.pixels([images.image(at)]))
        right = model.sight.classes.index(images.classes[images.labels[at]])
        others = np.delete(logits[0].numpy(), right)
        ahead.append(float(logits[0, right]) - float(others.max()))
    return np.array(ahead)


@pytest.mark.parametrize(("name", "layer", "how"), [
    *(("resnet", "pool", how) for how in HOWS), *(("vit", "z.1", how) for how in HOWS),
    ("resnet", "stage0.block0.conv0", "zero"), ("vit", "mlp_post.0", "add"),
])  # fmt: skip
def test_lesions_that_run_together_are_each_as_when_run_alone(seeing, images, name, layer, how):
    model, units = seeing(name), [Unit(layer, 1), Unit(layer, 0)]
    treatment = mt.Treatment(how, {"add": 3.0, "percentile": 90.0}.get(how, 0.0))
    bench = SeenBench(model, images, images, 0)
    found = bench.run([frozenset(), frozenset(units), frozenset(units[:1])], treatment, Job())
    with model.sight.reading([layer]) as held, torch.no_grad():
        model.sight.logits(model.sight.pixels([images.image(at) for at in range(30)]))
    values = held[layer]  # [image, unit, place…]
    heads = model.sight.layer(layer).kind == "head"
    amounts = (values.norm(dim=-1) if heads else values).movedim(1, 0).flatten(1)
    ways = torch.nn.functional.normalize(values.movedim(1, 0).flatten(1, -2).mean(1), dim=-1)

    def level(unit, size):
        return size * ways[unit] if heads else size

    def change(given):
        given = given.clone()
        for unit in (1, 0):
            spread = float(amounts[unit].std(correction=0))
            given[:, unit] = {
                "zero": lambda: torch.zeros(()),
                "mean": lambda unit=unit: values[:, unit].mean(0),
                "add": lambda unit=unit, spread=spread: given[:, unit] + level(unit, 3.0 * spread),
                "percentile": lambda unit=unit: level(
                    unit, float(np.percentile(amounts[unit], 90.0))
                ),
            }[how]()
        return given

    assert not model.module.training
    whole = plainly(model, images, layer, lambda given: given)
    np.testing.assert_allclose(found.margin[0], whole, atol=1e-4)
    if how == "resample":
        new = bench._new[layer, treatment]
        torch.testing.assert_close(new.values, values)
        assert (new.donors.numpy() != np.arange(30)).all()
        cases = iter(new.donors.tolist())

        def change(given):
            given, donor = given.clone(), next(cases)
            given[:, [1, 0]] = values[donor, [1, 0]]
            return given

    changed = plainly(model, images, layer, change)
    assert np.abs(changed - whole).max() > 1e-3
    np.testing.assert_allclose(found.margin[1], changed, atol=1e-4)


def test_a_table_counts_by_class_and_domain_and_is_read_back(seeing, images):
    model, parts = seeing("resnet"), []
    job = Job(on_partial=lambda name, value: parts.append((name, lesion_of(value))))
    units = mt.choose_units(model, "round", "pool", 3, localizer=images)
    found = lesion_of(mt.lesion(model, units, images, controls=4, job=job))
    assert found.groups == ("all", "round", "long", "dot", "ring", "bar")
    assert found.kinds == ("all", "domain", "domain", "class", "class", "class")
    np.testing.assert_array_equal(found.counts, [30, 20, 10, 10, 10, 10])
    with torch.no_grad():
        logits = model.sight.logits(model.sight.pixels([images.image(at) for at in range(30)]))
    said = [images.classes.index(model.sight.classes[at]) for at in logits.argmax(1).tolist()]
    np.testing.assert_array_equal(found.case_said[0], said)
    for side, row, column in np.ndindex(2, 3, 3):  # rows are what an image is
        of_class, so_called = images.labels == row, found.case_said[side] == column
        assert found.confusion[side, row, column] == (of_class & so_called).sum()
    assert (found.confusion[1] != found.confusion[1].T).any()
    share = np.trace(found.confusion[1]) / 30
    assert found.after[0, 0] == pytest.approx(share)
    np.testing.assert_array_equal(found.doses, [0, 1, 2, 3])
    np.testing.assert_allclose(found.curve[0, [0, -1]], [found.before[0], found.after[0]])
    assert found.control.shape == (4, 1, 4, 6)
    assert not np.isnan(found.control).any()
    alone = lesion_of(mt.lesion(model, units.units[:2], images, controls=0))
    np.testing.assert_allclose(alone.after[0], found.curve[0, 2])
    again = lesion_of(mt.lesion(model, units, images, controls=4))
    np.testing.assert_array_equal(again.control, found.control)
    other = lesion_of(mt.lesion(model, units, images, controls=4, seed=1))
    assert not np.array_equal(other.control, found.control)
    # A control is what a lesion by hand of as many other units gives, at each dose.
    pairs = [lesion_of(mt.lesion(model, [f"pool/{a}", f"pool/{b}"], images, controls=0)).after[0]
             for a, b in combinations(range(6), 2)]  # fmt: skip
    for order in found.control[:, 0, 2]:
        assert any(np.allclose(order, one) for one in pairs)
    assert len({order.tobytes() for order in found.control[:, 0]}) > 1
    np.testing.assert_allclose(found.control[:, :, 0], np.broadcast_to(found.before, (4, 1, 6)))
    assert [name for name, _ in parts] == ["lesion", "lesion"]
    assert not parts[0][1].params["complete"]
    low, high = found.bands[0, 0, 0]
    assert low < found.before[0, 0] < high


def test_one_task_is_lost_and_the_other_stays_and_the_other_way_round(embedded):
    """Heads are found on the first half of each set by their need; the second half is tried."""
    model, tasks = embedded("words-4l"), ("agreement", "name", "fact", "induction", "pronoun")
    pairs = [halves(load_prompt_set(name)) for name in tasks]
    localizer = [replace(each[0], pairs=each[0].pairs[:FEW]) for each in pairs]
    held_out = [each[1] for each in pairs[:2]]
    kept = {}
    for lost, count in (("agreement", 2), ("name", 1)):
        units = mt.choose_units(model, lost, _HEADS, count, localizer=localizer, by="need")
        assert min(units.index) > 0.5
        found = lesion_of(mt.lesion(model, units, held_out, controls=0))
        kept[lost] = {
            measure: {row["group"]: row["after"] / row["before"] for row in found.rows(at)}
            for at, measure in enumerate(found.measures)
        }
    assert kept["agreement"]["top"]["agreement"] <= 0.5
    assert kept["agreement"]["top"]["name"] == kept["agreement"]["above"]["name"] == 1.0
    assert kept["name"]["top"]["name"] <= 0.4
    assert kept["name"]["above"]["name"] <= 0.6  # of two answers one is right by chance
    assert kept["name"]["above"]["agreement"] == 1.0
    assert kept["name"]["top"]["agreement"] >= 0.8


def test_a_lesion_of_heads_is_the_edit_of_these_heads(embedded):
    model, one = embedded("words-4l"), load_prompt_set("agreement")
    bench = bench_of(model, one, None, 0)
    lesions = [frozenset({Unit("z.3", 3)}), frozenset({Unit("z.1", 0), Unit("z.2", 1)})]
    found = bench.run(lesions, mt.Treatment(), Job())
    edits = [[mt.Ablate("z.3.3")], [mt.Ablate("z.1.0"), mt.Ablate("z.2.1")]]
    for row, own in enumerate(edits):
        for at in (0, 41):
            pair = one.pairs[at]
            logits = mt.trace(model, pair.clean, edits=own).logits[-1]
            answer, wrong = (model.answer_token(one) for one in (pair.answer, pair.wrong))
            wanted = float(logits[answer] - logits[wrong])
            assert found.margin[row, at] == pytest.approx(wanted, abs=1e-3)


def test_what_cannot_be_asked_is_refused_with_what_there_is(seeing, images, embedded):
    model = seeing("resnet")
    with pytest.raises(InputError, match="No unit is chosen"):
        mt.lesion(model, [], images)
    with pytest.raises(SiteMissing, match="pool has no unit 6"):
        mt.lesion(model, ["pool/6"], images)
    with pytest.raises(InputError, match="pool/1 is chosen twice"):
        mt.lesion(model, ["pool/1", "pool/1"], images)
    with pytest.raises(InputError, match="7 units are to be chosen, and pool has 6"):
        mt.choose_units(model, "round", "pool", 7, localizer=images)
    with pytest.raises(InputError, match="no class 'cats' to choose units for"):
        mt.choose_units(model, "cats", "pool", 2, localizer=images)
    others = ImageSet("cups", images.images, images.labels, ("cup", "ring", "dot"), ("a",) * 3)
    with pytest.raises(InputError, match="has no class 'cup', which the image set cups has"):
        mt.lesion(model, ["pool/1"], others)
    with pytest.raises(InputError, match="percentile is 101"):
        mt.Treatment("percentile", 101)
    with pytest.raises(SiteMissing, match="no layer of units"):
        mt.lesion(embedded("words-4l"), ["z.9/1"], "agreement")
    object.__setattr__(model.sight, "named", False)
    try:
        with pytest.raises(ModelError, match="does not name its classes"):
            mt.lesion(model, ["pool/1"], images)
    finally:
        object.__setattr__(model.sight, "named", True)


@pytest.mark.parametrize(("domain", "count", "lost", "kept", "stays"), [
    ("face", 12, 0.4, "object", 0.98), ("texture", 10, 0.2, "face", 0.97),
])  # fmt: skip
def test_the_double_dissociation_of_the_embedded_example(
    embedded, domain, count, lost, kept, stays
):
    model = embedded("shapes-resnet")
    units = mt.choose_units(model, domain, "pool", count)
    found = lesion_of(mt.lesion(model, units))
    rows = {row["group"]: row for row in found.rows()}
    intact = {name: rows[name]["before"] for name in ("face", "object", "texture", "digit")}
    assert intact.pop("digit") >= 0.94
    assert min(intact.values()) >= 0.99
    assert rows[domain]["after"] <= lost
    assert rows[kept]["after"] >= stays
    assert rows["face"]["control"] >= 0.85  # the mean of 20 random lesions
    assert (len(found.units), found.n_controls, found.treatment.how) == (count, 20, "zero")
    assert rows[domain]["control"] > rows[domain]["after"] + 0.2


def test_the_command_line_prints_a_table_and_writes_files(tmp_path, capsys):
    session, table = tmp_path / "lesion.h5", tmp_path / "lesion.csv"
    asked = (
        "lesion shapes-resnet --localizer shapes-localizer --domain faces --layer pool --count 12"
    )
    given = f"{asked} --how zero --set shapes --controls 2 --seed 0"
    assert main([*given.split(), "--session", str(session), "--csv", str(table)]) == 0
    told = capsys.readouterr().out
    assert "12 units selective for face, set to zero" in told
    (analysis,) = [
        one for one in mt.open_session(session).analyses.values() if one.kind == "lesion"
    ]
    found = lesion_of(analysis)
    assert found.after[0, found.group("face")] <= 0.4
    with table.open(newline="") as file:
        rows = {row["group"]: row for row in csv.DictReader(file)}
    assert float(rows["object"]["after"]) == found.after[0, found.group("object")]
    for named, said in (([], "not"), (["--units", "pool/1", "--domain", "face"], "twice")):
        assert main(["lesion", "shapes-resnet", "--controls", "0", *named]) == 2
        assert f"It is {said} said which units are changed" in capsys.readouterr().err


@pytest.mark.parametrize("controls", [-1, 100_000_000])
def test_random_lesions_that_nobody_would_wait_for_are_refused(controls, capsys):
    given = ["lesion", "shapes-resnet", "--units", "pool/1", "--controls", str(controls)]
    assert main(given) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
def test_a_table_on_a_full_disk_is_one_line(capsys):
    given = "lesion shapes-resnet --units pool/1 --controls 1 --csv /dev/full"
    assert main(given.split()) == 2
    told = capsys.readouterr()
    assert "/dev/full could not be written: No space left on device." in told.err
    assert "mean and 95 % of" not in told.out


def test_the_heads_of_a_circuit_are_units_the_strongest_first(embedded):
    model = embedded("words-4l")
    pair = load_prompt_set("agreement").pairs[0]
    metric = mt.LogitDifference(model.answer_token(pair.answer), model.answer_token(pair.wrong))
    circuit = mt.prune(mt.component_graph(model, pair.pair, metric))
    units = units_of_circuit(circuit)
    assert Unit("z.3", 3) in units
    assert len(set(units)) == len(units)
    assert Chosen.by_hand(units).units == units


def test_sets_of_one_name_have_lesions_and_percentiles_of_their_own(seeing, images):
    model, (held, other) = seeing("resnet"), (images, replace(images, images=255 - images.images))
    asked = {"how": "mean", "controls": 0}
    found = [mt.lesion(model, ["pool/1"], one, **asked) for one in (held, other)]
    found += [mt.lesion(model, ["pool/1"], held, over=one, **asked) for one in (held, other)]
    assert found[0].id == found[2].id == mt.lesion(
        model, ["pool/1"], held, over=replace(held), **asked
    ).id  # fmt: skip
    assert len({one.id for one in found}) == 3
    settings = mt.VisualSettings(steps=1)
    made = [
        mt.visualise(model, "pool/1", results=1, settings=settings, references=one)
        for one in (held, other)
    ]
    assert made[0].id != made[1].id
    assert [one.params["set_digest"] for one in made] == [held.digest, other.digest]
