"""The command line: one line and status 2 for bad input, the window's numbers for good input."""

from __future__ import annotations

import json
import re

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from microtome import cli
from microtome.records.sweep import sweep_of
from microtome.selfcheck import suite
from microtome.session.reader import open_session

PROMPT = "When Mary and John went to the store, John gave a drink to"
CORRUPT = "When Mary and John went to the store, Mary gave a drink to"


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run.h5"
    arguments = ["run", "--model", "words-4l", "--prompt", PROMPT, "--corrupt", CORRUPT]
    answers = ["--answer", "Mary", "--wrong", "John", "--out", str(path)]
    assert cli.main([*arguments, *answers]) == 0
    return path


def test_a_run_saves_a_session_that_opens_with_its_circuit(session_file):
    session = open_session(session_file)
    assert session.clean.top_tokens[-1][0].strip() == "Mary"
    assert session.circuit.n_edges > 0
    assert session.metric["value"] > 0 > session.metric["value_corrupt"]
    assert session.checks.passed
    assert len(session.checks.results) >= 12


def test_a_model_that_fails_its_checks_is_told_and_the_file_knows(tmp_path, capsys, monkeypatch):
    def crooked(_subject):
        raise ValueError("these heads are crooked")

    monkeypatch.setattr(suite, "CHECKS", (suite.Check(99, "heads are straight", crooked),))
    path = tmp_path / "run.h5"
    given = ["run", "--model", "induction-exact-tiny", "--prompt", "0,1,2,3,1", "--ids"]
    assert cli.main([*given, "--out", str(path)]) == 0
    assert "self-checks failed" in capsys.readouterr().out.splitlines()[0]
    assert cli.main(["info", str(path)]) == 0
    assert "heads are straight" in capsys.readouterr().out


def test_run_takes_token_ids_and_prints_what_it_found_as_json(tmp_path, capsys):
    path = tmp_path / "one.h5"
    given = ["run", "--model", "induction-exact-tiny", "--prompt", "0,1,2,3,1", "--ids"]
    assert cli.main([*given, "--out", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nodes"] > 0
    assert found["file"] == str(path)
    assert open_session(path).clean.token_ids.tolist() == [0, 1, 2, 3, 1]


def test_info_names_model_prompt_and_size(session_file, capsys):
    assert cli.main(["info", str(session_file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "words-4l" in json.dumps(found)


def test_models_lists_the_embedded_ones_with_checkpoints(capsys):
    assert cli.main(["models", "--json"]) == 0
    rows = {row["name"]: row["checkpoints"] for row in json.loads(capsys.readouterr().out)}
    assert len(rows["words-4l"]) >= 6
    assert "induction-exact" in rows


def test_check_reports_every_check_and_succeeds_on_a_sound_model(capsys):
    assert cli.main(["check", "induction-exact-tiny", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert {result["number"] for result in report["results"]} >= {1, 2, 3, 4, 5, 6, 8, 10, 12, 13}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--model", "no-such-model", "--prompt", "x"], "no-such-model"),
        (["run", "--model", "words-4l", "--prompt", "  "], "empty"),
        (["run", "--model", "words-4l", "--prompt", PROMPT, "--answer", "Zzyzx"], "Zzyzx"),
        (["run", "--model", "words-4l", "--prompt", PROMPT, "--wrong", "John"], "without an"),
        (["run", "--model", "words-4l", "--prompt", PROMPT, "--corrupt", "When Mary"], "tokens"),
        (["run", "--model", "words-4l", "--prompt", "the " * 200], "64"),
        (["run", "--model", "words-4l", "--prompt", "x y", "--ids"], "token id"),
    ],
)
def test_bad_input_is_one_line_status_two_and_no_file(tmp_path, capsys, arguments, said):
    path = tmp_path / "never.h5"
    assert cli.main([*arguments, "--out", str(path)]) == 2
    given = capsys.readouterr()
    assert given.err.count("\n") == 1
    assert said in given.err
    assert "Traceback" not in given.err
    assert not given.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["check", "owner/model"], ["run", "--model", "owner/model", "--prompt", "x"]]
)
def test_a_model_of_the_hub_names_a_flag_that_the_command_has(
    tmp_path, capsys, monkeypatch, command
):
    def nothing(*_, **__):
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr("huggingface_hub.snapshot_download", nothing)
    out = ["--out", str(tmp_path / "never.h5")] if command[0] == "run" else []
    assert cli.main([*command, *out]) == 2
    message = capsys.readouterr().err
    flag = re.search(r"--\w+", message)
    assert flag, message
    assert "allow_download=True" in message
    with pytest.raises(SystemExit):
        cli.main([command[0], "--help"])
    assert flag[0] in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    place = tmp_path / "nowhere" / "run.h5"
    assert cli.main(["run", "--model", "words-4l", "--prompt", PROMPT, "--out", str(place)]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "render"])
def test_a_file_that_is_no_session_is_refused(tmp_path, capsys, command):
    path = tmp_path / "text.h5"
    path.write_text("this is no session")
    out = ["--out", str(tmp_path / "x.png")] if command == "render" else []
    assert cli.main([command, str(path), *out]) == 2
    given = capsys.readouterr().err
    assert given.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--model", "words-4l", "--out", "never.h5"], "--prompt --image --image-set"),
        (["models", "--nonsense"], "--nonsense"),
        (["run", "--seed", "many"], "many"),
    ],
)
def test_a_mistyped_command_is_one_line_and_status_two(capsys, arguments, said):
    assert cli.main(arguments) == 2
    given = capsys.readouterr().err
    assert given.count("\n") == 1
    assert said in given


def test_unknown_words_are_counted_and_named(tmp_path, capsys):
    place = str(tmp_path / "run.h5")
    asked = ["run", "--model", "words-4l", "--prompt", "Mary and Zzyzx met Qwrk", "--out", place]
    assert cli.main(asked) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "(2)" in first
    assert "Zzyzx" in first
    assert "Qwrk" in first


def test_a_pair_without_a_difference_is_told_so(tmp_path, capsys):
    asked = ["run", "--model", "words-4l", "--prompt", PROMPT, "--corrupt", PROMPT]
    path = tmp_path / "run.h5"
    assert cli.main([*asked, "--out", str(path)]) == 0
    assert "circuit: nothing to explain, both prompts" in capsys.readouterr().out
    held = open_session(path).circuit.metadata
    assert (held["unexplored"], held["cancellation"]) == (None, None)


def test_an_unknown_word_names_the_commands(capsys):
    assert cli.main(["rnu"]) == 2
    assert "run" in capsys.readouterr().err


PATCH = ["patch", "--model", "words-4l", "--prompt", PROMPT, "--corrupt", CORRUPT]
ANSWERS = ["--answer", "Mary", "--wrong", "John"]


def test_patch_saves_a_sweep_that_opens_and_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "CHECKS", suite.CHECKS[:1])
    file, table = tmp_path / "sweep.h5", tmp_path / "sweep.csv"
    given = [*PATCH, *ANSWERS, "--site", "z", "--out", str(file), "--csv", str(table), "--json"]
    assert cli.main(given) == 0
    told = json.loads(capsys.readouterr().out)
    session = open_session(file)
    held = [each for each in session.analyses.values() if each.kind == "sweep"]
    sweep = sweep_of(held[0])
    assert session.circuit.n_edges > 0  # it opens as full as a run does
    assert {"logit-lens", "direct-attribution"} <= session.analyses.keys()
    assert session.metric["value"] == pytest.approx(sweep.clean, abs=1e-4)
    assert sweep.axes == ("layer", "head")
    best = max(told["cells"], key=lambda cell: cell["effect"])
    assert sweep.effects[best["layer"], best["head"]] == pytest.approx(best["effect"])
    assert best["effect"] > 0.5
    assert len(table.read_text().splitlines()) == 1 + sweep.effects.size


def test_of_a_pair_of_unequal_prompts_the_clean_one_is_examined(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "CHECKS", suite.CHECKS[:1])
    file = tmp_path / "sweep.h5"
    given = ["patch", "--model", "induction-exact-tiny", "--ids", "--site", "z", "--align"]
    pair = ["--prompt", "0,1,2,3,1", "--corrupt", "0,1,2,3,2,1"]
    assert cli.main([*given, *pair, "--answer", "2", "--out", str(file)]) == 0
    assert "clean prompt alone" in capsys.readouterr().err
    session = open_session(file)
    assert session.circuit.n_edges > 0
    assert "value_corrupt" not in session.metric
    assert session.question.corrupt is not None
    assert [len(run.tokens) for run in session.traces] == [5, 6]
    assert any(each.kind == "sweep" for each in session.analyses.values())


def test_patch_ablates_and_traces_and_takes_a_set(capsys):
    ablated = ["patch", "--model", "words-4l", "--prompt", PROMPT, "--site", "z"]
    assert cli.main([*ablated, *ANSWERS, "--ablate", "zero"]) == 0
    assert "layer 0, head 3" in capsys.readouterr().out
    traced = ["patch", "--model", "words-4l", "--prompt", PROMPT, "--trace-span", "1-3"]
    assert cli.main([*traced, *ANSWERS, "--samples", "2"]) == 0
    assert "position 14 'to'" in capsys.readouterr().out
    over = ["patch", "--model", "words-4l", "--set", "induction", "--limit", "3", "--site", "z"]
    assert cli.main([*over, "--metric", "rank", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "Rank of each pair"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["patch", "--model", "words-4l", "--prompt", PROMPT], "corrupt"),
        (["patch", "--model", "words-4l"], "--prompt or --set"),
        ([*PATCH, "--metric", "rank"], "--answer"),
        ([*PATCH, *ANSWERS, "--site", "resid_pre", "--by", "head"], "no heads"),
        ([*PATCH, *ANSWERS, "--site", "z", "--layer", "9"], "no layer 9"),
        ([*PATCH, *ANSWERS, "--by", "range", "--ranges", "3-99"], "3 to 100"),
        ([*PATCH, *ANSWERS, "--ablate", "mean"], "needs prompts"),
    ],
)
def test_a_patch_that_cannot_be_asked_is_refused_in_one_line(given, named, capsys):
    assert cli.main(given) == 2
    told = capsys.readouterr().err
    assert named in told
    assert len(told.splitlines()) == 1
