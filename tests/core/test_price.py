"""The price of edits against one plain run a prompt, also where edits do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import microtome as mt
from microtome.analysis.price import edit_price
from microtome.errors import AnswerError, Cancelled, EditError, InputError
from microtome.jobs import Job
from microtome.prompt_sets import PromptSet, SetPair
from microtome.records.price import price_analysis, price_of
from microtome.records.session import Session
from microtome.session.reader import open_session
from microtome.session.writer import save_session

CUT = mt.Ablate("mlp_out.1")
DIRECTION = np.linspace(-1.0, 1.0, 24)  # as wide as the tiny models
EDITS = [
    [CUT],
    [mt.Ablate("z.0.1", "mean", over=[(3, 9, 4), (5, 1, 2, 8)]), CUT],
    [mt.Steer("resid_post.0", DIRECTION, 4.0, positions=[-1]), mt.Ablate("pattern.1.0")],
]


def made_up(name, lengths, seed=0):
    """A set of random prompts with answers, more of one length than run together."""
    random = np.random.default_rng(seed)
    drawn = [tuple(random.integers(4, 60, length).tolist()) for length in lengths]
    pairs = [SetPair(ids, ids, *random.choice(60, 2, replace=False).tolist()) for ids in drawn]
    return PromptSet(name, name.title(), "", "", tuple(pairs))


SETS = [made_up("many", [5] * 35 + [7] * 3), made_up("few", [4, 6, 5, 9, 4], seed=1)]

UNKNOWN = PromptSet("unknown", "Unknown", "", "", (SetPair((3, 4), (3, 5), 99_999, 1),))


def plainly(model, edits, pairs):
    """Right, top and the difference of each pair, by a run of its own."""
    rows = []
    for pair in pairs:
        run = mt.trace(model, pair.clean, sites=[], edits=edits)
        logits = run.logits[model.read_at(run.token_ids)].astype(np.float64)
        answer, wrong = logits[int(pair.answer)], logits[int(pair.wrong)]
        rows.append((answer > wrong, logits.argmax() == int(pair.answer), answer - wrong))
    return np.array(rows, dtype=np.float64).mean(0)


@pytest.mark.parametrize(
    ("variant", "edits"),
    [("gpt2", 0), ("gpt2", 1), ("gpt2", 2), ("mistral", 1), ("bert", 2), ("t5", 1)],
)
def test_the_price_is_that_of_plain_runs(tiny_model, variant, edits):
    model, edits = tiny_model(variant), EDITS[edits]
    limit = 3 if model.has_encoder else None
    price = price_of(edit_price(model, edits, SETS, limit=limit))
    for row, held in enumerate(SETS):
        for side, with_edits in enumerate(([], edits)):
            expected = plainly(model, with_edits, held.pairs[:limit])
            found = [v[row, side] for v in (price.right, price.top, price.difference)]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert price.pairs.tolist() == ([3, 3] if limit else [38, 5])
    assert np.abs(price.difference[:, 0] - price.difference[:, 1]).min() > 1e-4
    assert price.edits == tuple(map(str, edits))


def test_a_limit_takes_the_first_pairs(tiny_model):
    model = tiny_model("gpt2")
    price = price_of(edit_price(model, [CUT], SETS, limit=3))
    assert (price.pairs.tolist(), price.limit) == ([3, 3], 3)
    assert price.difference[1, 1] == pytest.approx(plainly(model, [CUT], SETS[1].pairs[:3])[2])


def test_prompts_that_an_edit_does_not_fit_are_left_out_and_told(tiny_model):
    model, late = tiny_model("gpt2"), mt.Ablate("mlp_out.0", positions=[5])
    price = price_of(edit_price(model, [late], SETS))
    assert (price.pairs.tolist(), price.left_out.tolist()) == ([3, 2], [35, 3])
    long = [pair for pair in SETS[1].pairs if len(pair.clean) > 5]
    assert price.difference[1] == pytest.approx(
        [plainly(model, edits, long)[2] for edits in ([], [late])], abs=1e-5
    )
    assert "position 5" in price.notes["few"]
    with pytest.raises(EditError, match="fit no prompt"):
        edit_price(model, [mt.Ablate("mlp_out.0", positions=[20])], SETS)


def test_rows_come_one_by_one_and_work_can_be_stopped(tiny_model):
    model, seen = tiny_model("gpt2"), []
    whole = edit_price(model, [CUT], SETS, job=Job(on_partial=lambda *part: seen.append(part)))
    ((name, first),) = seen
    held = price_of(first)
    assert (name, held.complete, held.pairs.tolist()) == ("price", False, [38, 0])
    assert held.right[0].tolist() == price_of(whole).right[0].tolist()
    assert np.isnan(held.right[1]).all()

    job = Job(on_partial=lambda *_: job.cancel())
    with pytest.raises(Cancelled):
        edit_price(model, [CUT], SETS, job=job)


def test_a_session_file_holds_a_price(tiny_model, tmp_path):
    model = tiny_model("gpt2")
    late = mt.Ablate("mlp_out.0", positions=[5])
    made = edit_price(model, [late], SETS, limit=36)
    run = mt.trace(model, SETS[0].pairs[0].clean)
    session = Session(model=model, traces=[run], analyses={made.id: made})
    held = open_session(save_session(tmp_path / "price.h5", session)).analyses["edit-price"]
    back = price_analysis(price_of(held))
    assert back.params == made.params
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(back.array(name), array.values)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"prompt_sets": []}, InputError, "no prompt set"),
        ({"limit": 0}, InputError, "limit is 0"),
        ({"prompt_sets": [UNKNOWN]}, AnswerError, "99999"),
    ],
)
def test_what_cannot_be_asked_is_named(tiny_model, given, error, told):
    asked = {"prompt_sets": SETS, **given}
    with pytest.raises(error, match=told):
        edit_price(tiny_model("gpt2"), [CUT], **asked)
