"""The table of an attention score: exact sums, and the parts of a known circuit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.circuits.why import attention_sources
from microtome.errors import InputError
from microtome.models.arithmetic import run
from microtome.prompts import PromptPair

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5)


def test_the_table_sums_to_the_score_over_the_mean_of_visible_keys(tiny_model, family):
    model = tiny_model(family)
    ran = run(model.anatomy, torch.tensor(IDS))
    for layer, head, query, key in ((0, 1, 7, 4), (1, 3, 11, 9), (2, 0, 6, 6)):
        found = attention_sources(model, IDS, layer, head, query, key)
        attention = ran.blocks[layer].attention
        scores = attention.scores[head, query].double()
        expected = float(scores[key] - scores[attention.visible[query]].mean())
        scale = 1e-5 * max(1.0, float(scores.abs().max()))
        assert float(found.array("score").astype(float).sum()) == pytest.approx(expected, abs=scale)
        assert found.params["total"] == pytest.approx(expected, abs=scale)
        assert found.params["score"] == pytest.approx(float(scores[key]), abs=scale)
        assert found.id == f"why/L{layer}H{head}@{query}"


def test_a_term_is_one_query_part_times_one_key_part(tiny_model):
    """Two components taken by hand: the token at the query, the MLP before at the key."""
    model = tiny_model("gpt2")
    ran = run(model.anatomy, torch.tensor(IDS))
    block, attention = model.anatomy.blocks[1], ran.blocks[1].attention
    w = block.attention

    def read(output):
        centred = output - output.mean(-1, keepdim=True)
        return block.norm1.weight * centred / attention.norm.scale

    q = read(ran.embedding) @ w.w_q[2].T
    k = read(ran.blocks[0].mlp.out) @ w.w_k[2].T
    expected = w.scale * float(q[10] @ (k[4] - k[:11].mean(0)))
    found = attention_sources(model, IDS, 1, 2, 10, 4)
    names = found.array("query_source").tolist()
    assert names == ["token", "position", "L0H0", "L0H1", "L0H2", "L0H3", "M0", "bias"]
    table = found.array("score")
    assert table[names.index("token"), names.index("M0")] == pytest.approx(expected, abs=1e-5)
    assert found.array("query_node")[0] == "T@10"
    assert found.array("key_node").tolist()[-2:] == ["M0@4", ""]


def test_without_a_key_it_is_the_one_looked_at_most(embedded):
    prompt = "ant bee cat dog elk fox ant bee cat dog"
    model = embedded("induction-exact")
    found = attention_sources(model, prompt, 1, 0, 10)
    held = found.params
    assert (held["key"], held["key_token"], held["query_token"]) == (5, "elk", "dog")
    table, names = found.array("score"), found.array("query_source").tolist()
    at = np.unravel_index(np.abs(table).argmax(), table.shape)
    # The token that stands here is matched with the one that stood before the key.
    assert (names[at[0]], names[at[1]]) == ("token", "L0H0")
    assert table[at] > 0.99 * table.sum()
    assert found.array("attention")[5] == pytest.approx(1.0, abs=1e-6)


def test_a_pair_is_explained_by_its_clean_run(tiny_model):
    model = tiny_model("gpt2")
    pair = PromptPair(IDS, (*IDS[:-1], 9))
    single = attention_sources(model, IDS, 1, 0, 5)
    np.testing.assert_array_equal(
        attention_sources(model, pair, 1, 0, 5).array("score"), single.array("score")
    )


def test_what_is_not_there_is_refused(tiny_model):
    model = tiny_model("mistral")
    for place, message in (
        ((3, 0, 5), "no head 0 in layer 3"),
        ((0, 4, 5), "no head 4 in layer 0"),
        ((0, 0, 12), "no position 12"),
        ((0, 0, 3, 4), "cannot look at position 4"),
        ((0, 0, 10, 5), "cannot look at position 5"),
    ):
        with pytest.raises(InputError, match=message):
            attention_sources(model, IDS, *place)
