"""``microtome generate``: the engine's text, edits in the order given, one line for bad input."""

from __future__ import annotations

import json

import pytest

from microtome import cli
from microtome.cli import generate as command
from microtome.interventions.directions import (
    difference_of_means,
    principal_direction,
    unembedding_direction,
)
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.interventions.generation import generate
from microtome.prompt_sets import load_prompt_set
from microtome.records.generation import generations_of
from microtome.session.reader import open_session

PROMPT = "When Mary and John went to the store, John gave a drink to"
CORRUPT = "When Mary and John went to the store, Mary gave a drink to"
GIVEN = ["generate", "--model", "words-4l", "--prompt", PROMPT, "--tokens", "5"]


@pytest.fixture
def one_model(embedded, monkeypatch):
    """Have the command line take the model that the tests share."""
    model = embedded("words-4l")
    monkeypatch.setattr(command, "load", lambda _options: model)
    return model


def as_json(capsys, *arguments):
    assert cli.main([*GIVEN, *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_edits_of_every_kind_act_in_the_order_given(one_model, capsys, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"{CORRUPT}\n\n{CORRUPT}\n")
    names = [pair.clean for pair in load_prompt_set("name").pairs]
    corrupt = [pair.corrupt for pair in load_prompt_set("name").pairs]
    found = as_json(
        capsys,
        "--steer", "resid_post.3=20*word:John,Mary",
        "--ablate", "z.2.1@3,-1",
        "--patch", f"resid_pre.2@10:-2={CORRUPT}",
        "--resample", f"v.1={prompts}",
        "--mean", "mlp_out.0=name",
        "--position-mean", f"k.1={prompts}",
        "--project-out", "attn_out.3@-1=0.5*diff:name,name/corrupt",
        "--steer", f"z.1.1=-2*pca:{prompts},1",
        "--temperature", "0.8", "--top-k", "5", "--top-p", "0.9", "--seed", "3",
    )  # fmt: skip
    assert [edit["action"] for edit in found["edits"]] == [
        "add", "zero", "patch", "resample", "mean", "position mean", "project out", "add",
    ]  # fmt: skip
    model = one_model
    edits = [
        Steer("resid_post.3", unembedding_direction(model, "John", "Mary"), 20),
        Ablate("z.2.1", positions=[3, -1]),
        Patch.from_prompt("resid_pre.2", CORRUPT, [10], [-2]),
        Ablate("v.1", "resample", over=[CORRUPT, CORRUPT], seed=3),
        Ablate("mlp_out.0", "mean", over=names),
        Ablate("k.1", "position mean", over=[CORRUPT]),
        Steer(
            "attn_out.3", difference_of_means(model, "attn_out.3", names, corrupt), 0.5, [-1], True
        ),
        Steer("z.1.1", principal_direction(model, "z.1.1", [CORRUPT, CORRUPT], 1), -2),
    ]
    settings = {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "seed": 3}
    after = generate(model, PROMPT, 5, edits=edits, **settings)
    before = generate(model, PROMPT, 5, **settings)
    assert found["after"]["ids"] == after.ids.tolist()
    assert found["after"]["probabilities"] == pytest.approx(after.probabilities.tolist(), rel=1e-6)
    assert found["before"]["ids"] == before.ids.tolist()
    assert found["settings"] == {"n_tokens": 5, **settings}


def test_both_texts_are_shown_with_where_they_part(one_model, capsys):
    assert cli.main([*GIVEN, "--patch", f"resid_pre.3@-1={CORRUPT}"]) == 0
    shown = capsys.readouterr().out
    assert "edit     patch of resid_pre.3 at -1 from 'When Mary" in shown
    assert "without  Mary" in shown
    assert "with     John" in shown
    assert "they part at token 0: 'Mary'" in shown


def test_without_edits_there_is_one_text(one_model, capsys):
    assert cli.main(GIVEN) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1].startswith("goes on  Mary")
    assert shown[-1].endswith("[ended by the model]")


def test_token_ids_are_taken_for_prompts_and_patches(capsys):
    given = ["generate", "--model", "induction-exact-tiny", "--prompt", "0,1,2,3,1", "--ids"]
    assert cli.main([*given, "--tokens", "2", "--patch", "resid_pre.0=0,2,1,3,2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["edits"][0]["prompts"] == [[0, 2, 1, 3, 2]]
    assert len(found["before"]["ids"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ablate", "z.2.1=4"], "--ablate z.2.1=4 cannot be read"),
        (["--ablate", "z.2.1@x"], "'x' are no positions"),
        (["--ablate", "zz.2.1"], "no site named 'zz'"),
        (["--ablate", "z.9"], "no layer 9"),
        (["--mean", "z.2.1"], "--mean SITE=PROMPTS"),
        (["--mean", "z.2.1=no-such-set"], "no-such-set"),
        (["--mean", "z.2.1@3:4=name"], "cannot be read"),
        (["--position-mean", "z.2.1=nurse"], "needs prompts of 15 tokens"),
        (["--patch", f"resid_pre.2@99={CORRUPT}"], "position 99"),
        (["--steer", "resid_post.2=much*word:John"], "'much' is no strength"),
        (["--steer", "resid_post.2=4*word"], "'word' is no direction"),
        (["--steer", "resid_post.2=4*word:Zzyzx"], "Zzyzx"),
        (["--steer", "resid_post.2=4*diff:name"], "two sets of prompts"),
        (["--steer", "resid_post.2=4*diff:nurse,nurse"], "the same mean"),
        (["--steer", "resid_post.2=4*pca:name,first"], "'first' is no component"),
        (["--steer", "z.2.1=4*word:John"], "shape [128], but"),
        (["--temperature", "-1"], "temperature -1.0"),
        (["--tokens", "0"], "0 tokens"),
    ],
)
def test_bad_input_is_one_line_and_status_two(one_model, capsys, arguments, said):
    assert cli.main([*GIVEN, *arguments]) == 2
    given = capsys.readouterr()
    assert given.err.count("\n") == 1
    assert said in given.err
    assert not given.out


def test_an_empty_file_of_prompts_is_named(one_model, capsys, tmp_path):
    path = tmp_path / "none.txt"
    path.write_text("\n")
    assert cli.main([*GIVEN, "--mean", f"z.2.1={path}"]) == 2
    assert "none.txt holds no prompts" in capsys.readouterr().err


def test_both_texts_and_the_edits_are_kept_in_a_session(one_model, capsys, tmp_path):
    path = tmp_path / "text.h5"
    found = as_json(capsys, "--ablate", "z.1.1", "--out", str(path))
    session = open_session(path)
    before, after = generations_of(session.analyses["generation"])
    assert list(before.ids) == found["before"]["ids"]
    assert list(after.ids) == found["after"]["ids"]
    assert [spec.site for spec in session.marks.edits] == ["z.1.1"]
    assert session.question.prompt == PROMPT
    assert session.edited.edits == after.edits
    assert cli.main([*GIVEN, "--out", str(tmp_path / "none" / "text.h5")]) != 0
    assert "There is no folder" in capsys.readouterr().err
