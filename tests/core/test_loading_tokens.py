"""Between text and tokens: unknown words, answers, missing and broken tokenizers."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest

from microtome.errors import (
    AnswerError,
    ModelDamaged,
    PromptError,
    TokenizerMissing,
    UnsafeModel,
)
from microtome.models.loading import load_model
from microtome.prompt_sets import prompt_set_names
from microtome.prompts import as_prompt


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of a good model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "spoilt"))


def test_without_a_tokenizer_ids_are_asked_for(tiny_model):
    model = tiny_model("gpt2")
    assert model.tokenizer is None
    with pytest.raises(TokenizerMissing, match=r"no tokenizer.*token ids"):
        model.tokenize("hello")
    tokens = model.tokenize([5, 7])
    assert tokens.texts == ("<5>", "<7>")
    assert tokens.prompt == "5 7"
    assert model.answer_token("7") == 7
    with pytest.raises(TokenizerMissing):
        model.answer_token("word")


def test_ids_that_are_no_whole_numbers_are_refused_not_rounded():
    unchecked = inspect.unwrap(as_prompt)  # without the shape checks, which only tests have
    assert unchecked(np.array([3, 4])) == (3, 4)
    with pytest.raises(PromptError, match=r"1\.5 is not a token id"):
        unchecked((2, 1.5))


def test_a_folder_named_like_an_embedded_model_gets_none_of_its_prompts(tiny_folder, tmp_path):
    model = load_model(Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "words-4l")))
    assert model.identity.name == f"{tmp_path.name}/words-4l"
    assert prompt_set_names("words-4l")
    assert not prompt_set_names(model.identity.name)


@pytest.fixture(scope="module")
def wordy(tiny_folder, tmp_path_factory):
    """A model whose word-level tokenizer is smaller than its embedding."""
    from sys import modules

    folder = Path(shutil.copytree(tiny_folder("llama"), tmp_path_factory.mktemp("w") / "wordy"))
    modules["tiny_models"].save_tokenizer(folder, ("Mary", "John", "gave"), size=20)
    return load_model(folder)


def test_a_tokenizer_smaller_than_the_embedding(wordy):
    assert wordy.token_text(19) == "w19"
    assert wordy.token_text(20) == "<20>"
    assert wordy.tokenize([2, 60]).texts == ("John", "<60>")
    assert "Mary" in wordy.vocabulary_words()
    assert "<unk>" not in wordy.vocabulary_words()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ((), "is empty"),
        ((1, 61), "id 61 is outside the vocabulary of wordy.*0 to 60"),
        ((-1,), "id -1 is outside"),
        ((1,) * 49, "has 49 tokens, but wordy reads at most 48.*by 1 tokens"),
        ("Mary " * 50, "has 50 tokens"),
    ],
)
def test_prompts_that_cannot_be_read(wordy, prompt, said):
    with pytest.raises(PromptError, match=said):
        wordy.tokenize(prompt)


def test_unknown_words_keep_their_text(wordy):
    tokens = wordy.tokenize("Mary frobbed John")
    assert tokens.texts == ("Mary", "frobbed", "John")
    assert tokens.unknown == (1,)
    np.testing.assert_array_equal(tokens.ids, [1, 0, 2])


def test_answers(wordy):
    assert wordy.answer_token("Mary") == wordy.answer_token(" Mary") == 1
    assert wordy.answer_token(5) == 5
    with pytest.raises(AnswerError, match=r"'Mari' is not in the model's vocabulary.*Mary"):
        wordy.answer_token("Mari")
    with pytest.raises(AnswerError, match=r"'Mary John' is 2 tokens \('Mary' \+ 'John'\)"):
        wordy.answer_token("Mary John")
    with pytest.raises(AnswerError, match="99 is outside"):
        wordy.answer_token(99)
    with pytest.raises(AnswerError, match="is empty"):
        wordy.answer_token(" ")


def test_a_word_is_first_looked_for_with_its_space(tmp_path, tiny_folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"Mary": 0, "ĠMary": 1, ".": 2, "Ġ.": 3, "Ma": 4, "ry": 5, "Ġ": 6, "M": 7,
                  "a": 8, "r": 9, "y": 10, "âĤ": 11, "Ċ": 12}  # fmt: skip
    merges = [("M", "a"), ("r", "y"), ("Ma", "ry"), ("Ġ", "Mary"), ("Ġ", ".")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "bytes"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    model = load_model(folder)
    assert model.answer_token("Mary") == 1
    assert model.answer_token(".") == 2
    assert model.answer_token(" .") == 3
    assert [model.token_text(token) for token in (1, 2, 11, 12)] == [" Mary", ".", "âĤ", "\n"]


def test_a_tokenizer_that_panics_is_an_error_like_any_other(wordy, monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(*_args, **_options):
        raise PanicException("retry-limit-in-match over")

    monkeypatch.setattr(type(wordy.tokenizer), "__call__", panic)
    with pytest.raises(PromptError, match=r"broke down on this text: retry-limit"):
        wordy.tokenize("aaaa")


def test_a_damaged_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ModelDamaged, match=r"tokenizer of spoilt cannot be opened.*token ids"):
        load_model(folder)


def test_a_tokenizer_with_code(wordy, tiny_folder, tmp_path):
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "code"))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["a.B", null]}}')
    with pytest.raises(UnsafeModel, match=r"tokenizer_config.json holds the key 'auto_map'"):
        load_model(folder)


def test_a_real_tokenizer_gives_what_it_gives(stories):
    tokens = stories.tokenize("Once upon a time")
    assert tokens.texts[:2] == ("<s>", " Once")
    assert "".join(tokens.texts[1:]) == " Once upon a time"
    assert stories.token_text(stories.answer_token("time")) == " time"
    assert stories.identity.name == "stories260k"
