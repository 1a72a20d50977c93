"""Sites parse from our names and from TransformerLens names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtome.errors import InputError
from microtome.sites import SITES, Site


@pytest.mark.parametrize("name", [name for name, row in SITES.items() if row.per_layer])
@given(layer=st.integers(0, 200))
def test_every_layer_site_survives_the_way_through_its_lens_name(name, layer):
    site = Site(name, layer)
    assert Site.parse(site.lens_name) == site
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize("name", [name for name, row in SITES.items() if not row.per_layer])
def test_sites_that_exist_once_survive_too(name):
    assert Site.parse(Site(name).lens_name) == Site(name)


def test_heads_parse_behind_the_layer():
    assert Site.parse("z.3.5") == Site("z", layer=3, head=5)


def test_an_alias_means_its_site():
    assert Site("neurons", 2) == Site("mlp_post", 2)


@pytest.mark.parametrize(
    "text", ["", "z.x", "blocks.3.hook_nothing", "residual", "z.1.2.3", "z.-1"]
)
def test_what_is_no_site_is_refused_by_name(text):
    with pytest.raises(InputError):
        Site.parse(text)


def test_a_layer_on_a_site_without_layers_is_refused():
    with pytest.raises(InputError, match="exists once"):
        Site("final_norm", layer=3)


def test_a_head_on_a_site_without_heads_is_refused():
    with pytest.raises(InputError, match="has no heads"):
        Site("resid_pre", layer=0, head=1)


@pytest.mark.parametrize(
    ("text", "near"),
    [("resid_xx.2", "resid_pre"), ("mlp.1", "mlp_out"), ("residpre", "resid_pre")],
)
def test_an_unknown_name_is_told_near_ones_and_the_pattern_in_a_line(text, near):
    with pytest.raises(InputError, match=f"Did you mean .*{near}.*look like resid_pre.3") as told:
        Site.parse(text)
    assert len(str(told.value)) < 180


def test_lens_names_are_distinct():
    names = [row.lens_name for row in SITES.values()]
    assert len(set(names)) == len(names)
