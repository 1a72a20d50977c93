"""The package of embedded data: its names, its errors and its prompt sets."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import microtome_resources as resources
from training import prompt_sets
from training.batches import Stream
from training.documents import Split
from training.evaluate import weighted_loss
from training.train_words import Recipe, train
from training.vocabulary import encoder, vocabulary

SETS = resources.prompt_set_names()
LANGUAGE = ("induction-exact", "induction-exact-tiny", "words-4l")
VISION = ("shapes-resnet", "shapes-resnet-b")
# The corrupt prompt of these makes the clean answer unlikely without making the wrong one right.
ONE_SIDED = {"comparison", "induction-key", "induction-exact", "induction-exact-tiny", "nurse"}
UNCERTAIN = {"two-hop", "quote"}


def read(name: str) -> dict:
    return json.loads(resources.prompt_set_path(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def loaded():
    return {
        name: (
            AutoModelForCausalLM.from_pretrained(path).eval(),
            AutoTokenizer.from_pretrained(path),
        )
        for name in LANGUAGE
        for path in [resources.model_path(name)]
    }


def test_import_brings_in_no_library() -> None:
    code = "import sys, microtome_resources; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "microtome_resources" in out.stdout
    assert not {"torch", "numpy", "transformers", "microtome", "training"} & {*out.stdout.split()}


def test_names_lead_to_whole_model_folders() -> None:
    assert resources.model_names() == tuple(sorted(LANGUAGE + VISION))
    for name in resources.model_names():
        entry = resources.embedded_model(name)
        assert entry.folder == resources.model_path(name)
        assert entry.checkpoint is None
        language = ("tokenizer.json", "tokenizer_config.json")
        own = language if name in LANGUAGE else ("preprocessor_config.json",)
        assert all((entry.folder / file).is_file() for file in ("config.json", "README.md", *own))
        assert "Licence: MIT" in (entry.folder / "README.md").read_text(encoding="utf-8")


def test_checkpoint_has_its_own_weights_in_the_same_folder() -> None:
    early, end = (resources.embedded_model(name) for name in ("words-4l@1500", "words-4l"))
    assert early.checkpoint == 1_500
    assert early.folder == end.folder
    assert early.weights != end.weights
    assert early.weights.is_file()
    assert resources.checkpoints("induction-exact") == ()


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("words-5l", "words-4l"),
        ("words-4l@7", "1500"),
        ("induction-exact@1", "none"),
        ("", "words"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(name, listed) -> None:
    with pytest.raises(ValueError, match=listed):
        resources.embedded_model(name)


def test_unknown_prompt_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'names'.*agreement"):
        resources.prompt_set_path("names")


def test_unknown_image_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'shape'.*shapes-localizer"):
        resources.image_set_path("shape")


def test_image_sets_are_listed_by_the_model_they_are_for() -> None:
    names = ("shapes", "shapes-localizer")
    assert resources.image_set_names() == resources.image_set_names("shapes-resnet") == names
    assert resources.image_set_names("words-4l@1500") == ()


def test_every_language_model_has_prompt_sets() -> None:
    by_model = {name: resources.prompt_set_names(name) for name in resources.model_names()}
    assert all(bool(sets) == (name in LANGUAGE) for name, sets in by_model.items())
    assert sorted(name for names in by_model.values() for name in names) == list(SETS)
    assert resources.prompt_set_names("words-4l@1500") == by_model["words-4l"]


@pytest.mark.parametrize("name", SETS)
def test_prompt_set_has_many_pairs_of_one_length_in_known_words(name, loaded) -> None:
    content = read(name)
    assert content["name"] == name
    assert all(content[key] for key in ("title", "description", "source"))
    assert len(content["pairs"]) >= 50
    _, tokenizer = loaded[content["model"]]
    for pair in content["pairs"]:
        clean, corrupt = (tokenizer(pair[side]).input_ids for side in ("clean", "corrupt"))
        assert len(clean) == len(corrupt)
        assert clean != corrupt
        answers = [tokenizer.convert_tokens_to_ids(pair[side]) for side in ("answer", "wrong")]
        assert tokenizer.unk_token_id not in {*clean, *corrupt, *answers}
        assert pair["answer"] != pair["wrong"]


@torch.no_grad()
def differences(content, model, tokenizer, side: str) -> list[float]:
    """Logit of the answer minus that of the wrong answer after each prompt of one side."""
    pairs = content["pairs"]
    rows = [tokenizer(pair[side]).input_ids for pair in pairs]
    longest = max(map(len, rows))
    # Causal models: what is added on the right changes nothing before it.
    logits = model(torch.tensor([row + [0] * (longest - len(row)) for row in rows])).logits
    answers = [
        [tokenizer.convert_tokens_to_ids(pair[key]) for key in ("answer", "wrong")]
        for pair in pairs
    ]
    return [
        (logits[at, len(row) - 1, answer] - logits[at, len(row) - 1, wrong]).item()
        for at, (row, (answer, wrong)) in enumerate(zip(rows, answers, strict=True))
    ]


@pytest.mark.parametrize("name", SETS)
def test_model_prefers_the_answer_and_the_corrupt_prompt_takes_it_away(name, loaded) -> None:
    content = read(name)
    clean = differences(content, *loaded[content["model"]], "clean")
    corrupt = differences(content, *loaded[content["model"]], "corrupt")
    enough = 0.95 * len(clean) if name not in UNCERTAIN else 0.8 * len(clean)
    assert sum(value > 0 for value in clean) >= enough
    pairs = zip(clean, corrupt, strict=True)
    assert sum(one > other for one, other in pairs) >= enough
    if name not in ONE_SIDED:
        assert sum(value < 0 for value in corrupt) >= enough


def test_start_example_opens_the_set_of_names() -> None:
    example, first = resources.START_EXAMPLE, read("name")["pairs"][0]
    assert (first["clean"], first["corrupt"]) == (example.clean, example.corrupt)
    assert (first["answer"], first["wrong"]) == (example.answer, example.wrong)


def test_prompt_sets_are_written_again_to_the_letter(tmp_path) -> None:
    prompt_sets.write_all(tmp_path)
    written = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {
        name: resources.prompt_set_path(name).read_text(encoding="utf-8") for name in SETS
    }


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_training_is_the_same_twice_and_learns(one_thread) -> None:
    ids = encoder(vocabulary())
    recipe = Recipe(steps=25, warm_up=5, rows=4)
    kept: list[int] = []
    runs = [
        train(ids, recipe, lambda step, _: kept.append(step), report_every=1_000) for _ in range(2)
    ]
    first, second = (dict(model.named_parameters()) for model in runs)
    assert kept == [*range(26)] * 2
    assert all(torch.equal(first[name], second[name]) for name in first)
    with torch.no_grad():
        batch = Stream(ids, Split.HELD_OUT, "probe").batch(4, recipe.context)
        assert weighted_loss(runs[0], batch) < 0.9 * torch.tensor(len(ids)).log()
