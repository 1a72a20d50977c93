"""Unit cards: fields against perturbed pixels, tuning against known filters, and the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from microtome.errors import ImageError, SiteMissing
from microtome.records.unit_card import card_of, table_analysis, table_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome.vision.cards import read_layer, unit_card, unit_table
from microtome.vision.fields import Fields
from microtome.vision.gratings import grating, orientation_tuning, preference
from microtome.vision.maps import image_maps
from microtome.vision.selectivity import selectivity_index


@pytest.mark.parametrize(
    ("kind", "layer", "place"),
    [("resnet", "stem", 0), ("resnet", "stage0.block0.conv0", 5), ("convnext", "stem", 6),
     ("vit", "z.0", 3)],
)  # fmt: skip
def test_a_field_is_all_that_changes_the_place_when_pixels_change(seeing, kind, layer, place):
    model = seeing(kind)
    sight, random = model.sight, torch.Generator().manual_seed(1)
    touched = np.zeros((16, 16), dtype=bool)
    with sight.reading([layer]) as found, torch.no_grad():
        for _ in range(3):
            base = torch.randn(1, 1, 16, 16, generator=random)
            changed = base.repeat(257, 1, 1, 1)  # one pixel each, and none
            changed[torch.arange(256), 0, torch.arange(256) // 16, torch.arange(256) % 16] += 3
            sight.logits(changed)
            at = sight.layers[layer].maps(found[layer]).flatten(2)[:, :, place]
            touched |= (at[:256] != at[256]).any(dim=1).reshape(16, 16).numpy()
    other = 1 if place != 1 else 2
    box, _, again = Fields(sight, sight.layers[layer]).of([place, other, place])
    assert again == box
    rows, columns = np.nonzero(touched)
    expected = (rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1)
    if kind == "vit":  # a patch sees all the image by attention
        assert expected == (0, 0, 16, 16)
    assert box == expected
    assert kind == "vit" or box[2] * box[3] < 256


def test_known_filters_are_seen_to_prefer_their_orientation_and_frequency(seeing):
    model = seeing("convnext")
    patches = next(m for m in model.module.modules() if isinstance(m, torch.nn.Conv2d))
    norm = model.sight.module.convnext.embeddings.layernorm
    before = patches.weight.detach().clone(), patches.bias.detach().clone()
    forward, angles = norm.forward, (0.0, 45.0, 90.0, 150.0)
    norm.forward = lambda values: values  # filters alone
    try:
        with torch.no_grad():
            for unit, angle in enumerate(angles):
                wave = grating((4, 4), angle, 1.0, 0.0) / 127.5 - 1  # a period in four pixels
                patches.weight[unit, 0] = torch.from_numpy(wave)
            patches.bias.zero_()
        tuning = orientation_tuning(model, "stem")
    finally:
        norm.forward = forward
        with torch.no_grad():
            patches.weight.copy_(before[0])
            patches.bias.copy_(before[1])
    for unit, angle in enumerate(angles):
        found = preference(tuning, unit)
        away = abs((found.orientation - angle + 90) % 180 - 90)
        assert away < 8, (unit, found)
        # A filter of one period in four pixels of 16 answers most to a little less than four
        # periods an image: its spectrum is that of a sine cut off.
        assert 2.7 <= found.frequency <= 3.9
        assert found.selectivity > 0.4
        assert found.peak > 0


def test_stripes_of_a_grating_lie_as_their_orientation_says():
    flat, upright = grating((8, 8), 0, 2, 0), grating((8, 8), 90, 2, 0)
    assert np.ptp(flat, axis=1).max() < 1e-9  # rows are even: horizontal stripes
    assert np.ptp(upright, axis=0).max() < 1e-9
    rising = grating((9, 9), 45, 2, 0)
    np.testing.assert_allclose(
        rising[8, 0], rising[0, 8], atol=1e-9
    )  # from lower left to upper right
    assert abs(rising[0, 0] - rising[2, 2]) > 1


@pytest.mark.parametrize(("kind", "name"), [("resnet", "stage0.block0"), ("vit", "mlp_post.1")])
def test_a_card_tells_what_the_unit_does(seeing, images, kind, name):
    model = seeing(kind)
    reading = read_layer(model, name, images)
    card = card_of(unit_card(model, f"{name}/2", images, reading=reading))
    strongest = reading.activity.strongest[:, 2]
    assert card.activity.tolist() == sorted(strongest.tolist(), reverse=True)[:10]
    assert (card.images == images.images[card.number]).all()
    assert card.counts.sum() == 40
    for number, box in zip(card.number[:4], card.box, strict=False):
        active = image_maps(model, images.image(int(number)), [name]).array(name)[2]
        fields = Fields(model.sight, model.sight.layer(name))
        assert tuple(box) == fields.of([int(active.argmax())])[0]
    assert card.edges[0] == pytest.approx(strongest.min(), rel=1e-5)
    index = selectivity_index(reading.activity.mean, images.labels == 0)[2]
    assert card.by_class[0] == pytest.approx(index)
    assert card.by_domain[0] == pytest.approx(-card.by_domain[1])
    plain = np.corrcoef(reading.activity.mean.T)[2]
    np.testing.assert_allclose(card.correlation, np.nan_to_num(plain)[card.similar], atol=1e-6)
    assert 2 not in card.similar
    table = table_of(unit_table(model, name, images, reading=reading))
    assert table.largest[2] == pytest.approx(strongest.max())
    assert table.by_class[:, 2] == pytest.approx(card.by_class)
    assert table.best[2] == card.by_class.argmax()
    assert table.tuned[2] == pytest.approx(card.params["orientation_selectivity"])


def test_weights_are_compared_where_a_layer_has_its_own(seeing, images):
    model = seeing("resnet")
    own = card_of(unit_card(model, "stem/1", images))
    weights = model.module.resnet.embedder.embedder.convolution.weight.detach().flatten(1).numpy()
    sizes = np.linalg.norm(weights, axis=1)
    plain = weights @ weights[1] / (sizes * sizes[1])
    np.testing.assert_allclose(own.cosine, plain[own.similar], atol=1e-6)
    sum_of_two = card_of(unit_card(model, "stage0.block0/1", images))
    assert np.isnan(sum_of_two.cosine).all()


def test_a_card_is_saved_and_read_without_the_model(seeing, images, tmp_path):
    from microtome.records.session import Session

    model = seeing("resnet")
    made = unit_card(model, "pool/3", images)
    session = Session(model.identity, analyses={made.id: made})
    save_session(tmp_path / "card.h5", session)
    held = card_of(open_session(tmp_path / "card.h5").analyses[made.id])
    assert str(held.unit) == "pool/3"
    assert (held.images == card_of(made).images).all()
    assert held.classes == images.classes
    assert held.box.tolist() == [[0, 0, 16, 16]] * 10  # pooled: all of the image


def test_what_has_no_card_is_said(seeing, images):
    model = seeing("resnet")
    with pytest.raises(SiteMissing, match="Its units are 0 to 7"):
        unit_card(model, "pool/8", images)
    reading = read_layer(model, "stem", images)
    with pytest.raises(ImageError, match="The reading is of stem"):
        unit_card(model, "pool/1", images, reading=reading)


def test_sets_of_one_name_have_tables_and_cards_of_their_own(seeing, images):
    model = seeing("resnet")
    other = replace(images, images=255 - images.images)
    again = replace(images)  # the same content
    reading = read_layer(model, "pool", images)
    tables = [unit_table(model, "pool", one) for one in (images, other, again)]
    cards = [unit_card(model, "pool/3", one) for one in (images, other, again)]
    for made in (tables, cards):
        assert made[0].id == made[2].id != made[1].id
    assert unit_table(model, "pool", again, reading=reading).id == tables[0].id
    for ask in (unit_table, unit_card):
        asked = "pool" if ask is unit_table else "pool/3"
        with pytest.raises(ImageError, match="with other images was asked for"):
            ask(model, asked, other, reading=reading)
    assert not np.allclose(table_of(tables[0]).largest, table_of(tables[1]).largest)
    plain = replace(table_of(tables[0]), params={"set": "cups"})  # as of old, without a checksum
    assert table_of(table_analysis(plain)).layer == "pool"
