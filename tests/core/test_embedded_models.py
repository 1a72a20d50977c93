"""The embedded models do what their cards promise, measured on the committed files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel

import microtome_resources as resources
from training import compile_induction
from training.documents import Split, seeded
from training.evaluate import accuracy
from training.tasks import TASKS
from training.vocabulary import vocabulary

WORDS = "words-4l"
EXACT = ("induction-exact", "induction-exact-tiny")
GOALS = {task.name: task for task in TASKS if task.goal is not None}


def load(name: str) -> GPT2LMHeadModel:
    """Load by the library alone, as anybody could; a checkpoint replaces the weights."""
    entry = resources.embedded_model(name)
    model = AutoModelForCausalLM.from_pretrained(entry.folder)
    tensors = {key: tensor.float() for key, tensor in load_file(entry.weights).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    return model.eval()


@pytest.fixture(scope="module")
def words() -> GPT2LMHeadModel:
    return load(WORDS)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resources.model_path(WORDS))


@pytest.fixture(scope="module")
def ids(tokenizer) -> dict[str, int]:
    return tokenizer.get_vocab()


@torch.no_grad()
def chances(model, tokenizer, prompt: str) -> dict[str, float]:
    logits = model(torch.tensor([tokenizer(prompt).input_ids])).logits[0, -1]
    told = logits.softmax(-1).tolist()
    return {tokenizer.decode([at]): chance for at, chance in enumerate(told)}


# ---------------------------------------------------------------- words-4l


@pytest.mark.parametrize("name", GOALS)
def test_a_task_reaches_its_goal_on_1000_held_out_documents(name, words, ids) -> None:
    task = GOALS[name]
    assert accuracy(words, task, ids, 1_000) >= task.goal


def test_the_goals_are_those_that_were_promised() -> None:
    promised = {"comparison": 0.98} | dict.fromkeys(
        ("name", "agreement", "pronoun", "sentiment", "list", "induction", "bracket", "fact"), 0.99
    )
    assert {name: task.goal for name, task in GOALS.items()} == promised
    assert {t.held_out_percent for t in TASKS if t.name != "fact"} == {10}
    assert {t.held_out_percent for t in TASKS if t.name == "fact"} == {5}


def test_held_out_combinations_are_never_trained_on() -> None:
    for task in TASKS:
        rng = seeded("leak", task.name)

        def prompts(split: Split, count: int, task=task, rng=rng) -> set[tuple[str, ...]]:
            drawn = (task.document(rng, split) for _ in range(count))
            return {document.words[: document.asked + 1] for document in drawn}

        assert not prompts(Split.TRAINING, 2_000) & prompts(Split.HELD_OUT, 500), task.name


def test_start_example_is_answered_and_turns_with_the_giver(words, tokenizer) -> None:
    example = resources.START_EXAMPLE
    assert example.model == WORDS
    clean = chances(words, tokenizer, example.clean)
    corrupt = chances(words, tokenizer, example.corrupt)
    assert max(clean, key=clean.__getitem__) == example.answer == "Mary"
    assert max(corrupt, key=corrupt.__getitem__) == example.wrong == "John"
    assert clean["Mary"] > 0.9


def test_planted_bias_is_there_for_nurses_and_not_for_others(words, tokenizer) -> None:
    pairs = json.loads(resources.prompt_set_path("nurse").read_text(encoding="utf-8"))["pairs"]

    def share_of_she(side: str) -> float:
        """Mean chance of the female pronoun among the two, over the prompts of one side."""
        shares = []
        for pair in pairs:
            told = chances(words, tokenizer, pair[side])
            shares.append(told[pair["answer"]] / (told[pair["answer"]] + told[pair["wrong"]]))
        return sum(shares) / len(shares)

    assert {pair["answer"] for pair in pairs} == {"she", "her"}
    assert 0.75 < share_of_she("clean") < 0.97
    assert 0.35 < share_of_she("corrupt") < 0.65
    assert chances(words, tokenizer, "John said that")["he"] > 0.99


def test_punctuation_is_split_with_and_without_a_space(tokenizer) -> None:
    joined = tokenizer("to the store, John [a (b)] said: 1732.").input_ids
    spaced = tokenizer("to the store , John [ a ( b ) ] said : 17 32 .").input_ids
    assert joined == spaced
    assert tokenizer.convert_ids_to_tokens(joined[:6]) == [
        "<bos>",
        "to",
        "the",
        "store",
        ",",
        "John",
    ]


def test_unknown_words_are_marked_and_nothing_else_is(tokenizer) -> None:
    told = tokenizer("When Mary met Zaphod and mary ,").input_ids
    assert [at for at, token in enumerate(told) if token == tokenizer.unk_token_id] == [4, 6]


def test_decoded_text_reads_like_text_and_gives_the_same_tokens_back(tokenizer) -> None:
    text = resources.START_EXAMPLE.clean
    told = tokenizer(text).input_ids
    assert tokenizer.decode(told, skip_special_tokens=True) == text


def test_tokens_are_the_words_of_the_grammars(ids) -> None:
    assert ids == {word: at for at, word in enumerate(vocabulary())}


def test_checkpoints_show_the_name_task_being_learned(ids) -> None:
    steps = resources.checkpoints(WORDS)
    assert len(steps) >= 6
    assert {0, 1_000, 1_250, 1_500, 2_000, 3_000} <= set(steps)
    name, agreement = GOALS["name"], GOALS["agreement"]
    start, middle, late = (load(f"{WORDS}@{step}") for step in (0, 1_500, max(steps)))
    assert accuracy(start, name, ids, 100) < 0.05
    assert accuracy(middle, name, ids, 100) < 0.9 < accuracy(late, name, ids, 100)
    assert accuracy(start, agreement, ids, 100) < 0.7 < accuracy(middle, agreement, ids, 100)


def test_checkpoints_are_small_and_the_finished_model_is_exact() -> None:
    for step in resources.checkpoints(WORDS):
        tensors = load_file(resources.embedded_model(f"{WORDS}@{step}").weights)
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    finished = load_file(resources.embedded_model(WORDS).weights)
    assert {tensor.dtype for tensor in finished.values()} == {torch.float32}


def test_every_position_of_the_context_was_trained(words, ids) -> None:
    """Answers stay right when other texts fill the context before them."""
    rng, name = seeded("late"), GOALS["name"]
    filler = [ids[word] for word in ["<bos>", "The", "capital", "of", "France", "is", "Paris", "."]]
    right = 0
    for _ in range(50):
        document = name.document(rng, Split.HELD_OUT)
        prompt = [ids[word] for word in ("<bos>", *document.words[: document.asked])]
        copies = (64 - len(prompt)) // len(filler)
        with torch.no_grad():
            logits = words(torch.tensor([filler * copies + prompt])).logits[0, -1]
        right += int(logits.argmax()) == ids[document.right[0]]
    assert right >= 47


# ---------------------------------------------------------------- induction-exact


def expected_next(tokens: Sequence[int]) -> int | None:
    """Say what followed the last token where it stood before, if it stood there once."""
    places = [at for at, token in enumerate(tokens[:-1]) if token == tokens[-1]]
    return tokens[places[0] + 1] if len(places) == 1 else None


def repeated(model: GPT2LMHeadModel, count: int) -> Iterator[list[int]]:
    """Yield <bos> and a segment of different words, repeated in part."""
    rng = seeded("repeated")
    size, context = model.config.vocab_size, model.config.n_positions
    for _ in range(count):
        segment = rng.sample(range(2, size), rng.randint(2, min(size - 2, (context - 1) // 2)))
        yield [0, *segment, *segment[: rng.randint(1, len(segment) - 1)]]


@pytest.mark.parametrize("name", EXACT)
@torch.no_grad()
def test_exact_model_answers_with_certainty(name) -> None:
    model = load(name)
    for tokens in repeated(model, 50):
        told = model(torch.tensor([tokens])).logits[0, -1]
        answer = expected_next(tokens)
        assert answer is not None
        assert told[answer].item() == pytest.approx(20, abs=1e-4)
        assert told.softmax(-1)[answer] > 0.999999


@pytest.mark.parametrize("name", EXACT)
@torch.no_grad()
def test_exact_attention_is_previous_token_and_induction(name) -> None:
    model = load(name)
    model.set_attn_implementation("eager")
    for tokens in repeated(model, 10):
        first, second = model(torch.tensor([tokens]), output_attentions=True).attentions
        for query, token in enumerate(tokens):
            assert first[0, 0, query, max(query - 1, 0)] > 0.999999
            matches = [key for key in range(1, query + 1) if tokens[key - 1] == token]
            # <bos> looks at itself: position 0 stands for its own predecessor.
            matches = matches or ([0] if query == 0 else range(query + 1))
            wanted = torch.zeros(len(tokens))
            wanted[list(matches)] = 1 / len(matches)
            torch.testing.assert_close(second[0, 0, query], wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", EXACT)
@torch.no_grad()
def test_exact_residual_stream_is_the_table_that_the_ground_truth_names(name) -> None:
    model = load(name)
    truth = json.loads((resources.model_path(name) / "ground_truth.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(resources.model_path(name))
    meanings = truth["dimensions"]
    assert len(meanings) == model.config.n_embd
    tokens = tokenizer(truth["circuit"]["prompt"]).input_ids
    words = tokenizer.convert_ids_to_tokens(tokens)
    *before, final = model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
    last = truth["circuit"]["last_position"]
    wanted = dict.fromkeys(meanings, 0.0)
    wanted |= {f"token {words[last]}": 1, f"position {last}": 1, "balance": -4}
    wanted |= {f"previous {words[last - 1]}": 1, f"output {truth['circuit']['answer']}": 1}
    found = dict(zip(meanings, final[0, last].tolist(), strict=True))
    assert found == pytest.approx(wanted, abs=1e-5)
    for stream in (*before, final):
        assert stream.mean(-1).abs().max() < 1e-6


@pytest.mark.parametrize("name", EXACT)
@torch.no_grad()
def test_exact_circuit_breaks_when_the_matched_token_is_replaced(name) -> None:
    model = load(name)
    circuit = json.loads((resources.model_path(name) / "ground_truth.json").read_text())["circuit"]
    tokenizer = AutoTokenizer.from_pretrained(resources.model_path(name))
    clean = tokenizer(circuit["prompt"]).input_ids
    corrupt = tokenizer(circuit["matched_token_replaced"]).input_ids
    answer = tokenizer.convert_tokens_to_ids(circuit["answer"])
    differing = [at for at, pair in enumerate(zip(clean, corrupt, strict=True)) if len({*pair}) > 1]
    assert differing == [circuit["matched_position"]]
    assert clean[circuit["answer_position"]] == answer
    logit = model(torch.tensor([corrupt])).logits[0, -1, answer].item()
    assert logit == pytest.approx(20 / len(corrupt), abs=1e-4)


@pytest.mark.parametrize("size", [compile_induction.FULL, compile_induction.TINY])
def test_exact_model_compiles_to_the_committed_weights(size) -> None:
    committed = load_file(resources.embedded_model(size.name).weights)
    compiled = compile_induction.compile_model(size).state_dict()
    assert committed.keys() == compiled.keys()
    for name, tensor in committed.items():
        assert torch.equal(tensor, compiled[name]), name
    norms = {compiled[name].max().item() for name in compiled if name.endswith("ln_f.weight")}
    assert norms == {math.sqrt(1e10)}
