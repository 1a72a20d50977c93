"""Prompt sets load whole, or say which pair is wrong."""

from __future__ import annotations

import json

import pytest

import microtome_resources as resources
from microtome.errors import InputError
from microtome.prompt_sets import SetPair, load_prompt_set, prompt_set_names

PAIR = {"clean": "a b", "corrupt": "c b", "answer": "a", "wrong": "c"}


@pytest.mark.parametrize("name", resources.prompt_set_names())
def test_every_embedded_set_fits_its_model(embedded, name):
    found = load_prompt_set(name)
    assert found.name == name
    assert found.title
    assert found.description
    assert len(found.pairs) >= 3
    model = embedded(found.model)
    assert name in prompt_set_names(found.model)
    for pair in found.pairs[:5]:
        clean, corrupt = model.tokenize(pair.clean), model.tokenize(pair.corrupt)
        assert len(clean) == len(corrupt)
        assert not clean.unknown
        assert model.answer_token(pair.answer) != model.answer_token(pair.wrong)


def test_a_set_from_a_file_of_text_or_ids(tmp_path):
    path = tmp_path / "mine.json"
    ids = {"clean": [1, 2], "corrupt": [3, 2], "answer": 5, "wrong": 6}
    path.write_text(json.dumps({"pairs": [PAIR, ids]}))
    found = load_prompt_set(path)
    assert (found.name, found.title, found.model) == ("mine", "mine", "")
    assert found.pairs == (SetPair("a b", "c b", "a", "c"), SetPair((1, 2), (3, 2), 5, 6))
    assert found.pairs[1].pair.corrupt == (3, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not readable as JSON"),
        ("[]", "no list of pairs"),
        ('{"pairs": []}', "is empty"),
        (json.dumps({"pairs": [PAIR, {"clean": "a"}]}), "pair 1 has no corrupt"),
        (json.dumps({"pairs": [{**PAIR, "clean": 3}]}), "neither text nor a list"),
        (json.dumps({"pairs": [{**PAIR, "answer": None}]}), "neither a word nor a token id"),
        (json.dumps({"pairs": [7]}), "pair 0 has no clean"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, content, said):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=f"bad.json .*{said}"):
        load_prompt_set(path)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(InputError, match=r"no prompt set 'nome'.*name"):
        load_prompt_set("nome")
    assert prompt_set_names("no-such-model") == ()
    assert "name" in prompt_set_names("words-4l@1500")
