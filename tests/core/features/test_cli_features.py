"""``microtome features``: a table, a card, a session that opens without torch."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from plain_text_features import small_dictionary, some_text

import microtome as mt
from microtome import cli
from microtome.features.formats.example_files import open_examples
from microtome.records.feature_index import index_of


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("features")
    mt.save_dictionary(small_dictionary(), folder / "mine")
    return ["features", "words-4l", str(folder / "mine"), "--text", str(some_text(folder))]


def test_a_table_goes_to_a_csv_and_a_card_is_printed(
    saved: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.json").write_text(json.dumps({"7": "people"}))
    given = [*saved, "--labels", str(tmp_path / "labels.json"), "--out", str(tmp_path / "t.csv")]
    assert cli.main(given) == 0
    told = capsys.readouterr().out
    assert told.startswith("30 features over")
    assert "people" in told
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["rate"]) for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert {row["feature"]: row["label"] for row in rows}["7"] == "people"
    assert cli.main([*saved, "--feature", "7", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["peak"] == pytest.approx(float({r["feature"]: r["peak"] for r in rows}["7"]))
    assert cli.main([*saved, "--feature", "7", "--propose"]) == 0
    assert "Top activations:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["words-4l/none"], "There are words-4l/resid_post.2-large"),
        (["words-4l/transcoders"], "has 4 layers, but no layer was given"),
        (["words-4l/transcoders", "--layer", "9"], "but layer 9 was given"),
    ],
)
def test_a_dictionary_that_is_not_there_is_named_with_those_that_are(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["features", "words-4l", *given, "--text", "words-4l"]) == 2
    assert told in capsys.readouterr().err


def test_one_layer_of_a_set_has_its_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["features", "words-4l", "words-4l/transcoders", "--layer", "1"]
    assert cli.main([*asked, "--text", str(some_text(tmp_path)), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 0


def test_what_was_read_is_saved_with_examples(saved: list[str], tmp_path: Path) -> None:
    assert cli.main([*saved, "--save", str(tmp_path / "out")]) == 0
    known = small_dictionary().identity.fingerprint
    assert mt.load_dictionary(tmp_path / "out").identity.fingerprint == known
    assert open_examples(tmp_path / "out").features(1)
    text = str(some_text(tmp_path))
    asked = ["features", "words-4l", "words-4l/transcoders", "--layer", "1", "--text", text]
    assert cli.main([*asked, "--save", str(tmp_path / "set")]) == 0
    wanted = mt.load_transcoders("words-4l/transcoders").layers
    again = mt.load_transcoders(tmp_path / "set").layers
    assert [one.identity.fingerprint for one in again] == [
        one.identity.fingerprint for one in wanted
    ]
    assert open_examples(tmp_path / "set").layers == (1,)


def test_a_session_is_reviewed_without_torch(saved: list[str], tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    assert cli.main([*saved, "--propose", "--out", str(out)]) == 0
    assert mt.verify_session(out).good
    session = mt.open_session(out)
    assert session.dictionaries[0].d_sae == 30
    index = next(one for one in session.analyses.values() if one.kind == "feature-index")
    assert index_of(index).n_features == 30
    told = mt.feature_card(index_of(index), 7).tokens[0].text
    code = f"""
import sys
import microtome as mt
from microtome.records.feature_index import index_of
from microtome.records.feature_labels import label_texts
session = mt.open_session({str(out)!r})
index = next(one for one in session.analyses.values() if one.kind == "feature-index")
known = session.dictionaries[0].fingerprint
labels = label_texts(known, session.analyses.values(), session.marks.labels)
card = mt.feature_card(index_of(index), 7, labels=labels)
assert card.label
assert "torch" not in sys.modules
sys.stdout.buffer.write(card.tokens[0].text.encode())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ran.stdout.decode() == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--feature", "30"], "no feature 30 of 30"),
        (["--save", "no/such"], "no folder"),
        (["--out", "x.txt"], "End it in .h5 or .csv"),
        (["--labels", "none.json"], "none.json cannot be read"),
    ],
)
def test_bad_input_is_one_line(
    saved: list[str], capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert cli.main([*saved, *more]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
