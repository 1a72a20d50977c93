"""Files that are broken, mislead or would harm: each is refused with its reason, in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from hostile.dictionaries import link, npz_of, saelens
from safetensors.torch import save_file

import microtome as mt
from microtome.errors import DictionaryError, UnsafeDictionary


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    link(tmp_path / "given")
    with pytest.raises(UnsafeDictionary, match="a link that leaves"):
        mt.load_dictionary(tmp_path / "given")


def test_what_cannot_be_loaded_is_told_by_its_inspection(tmp_path: Path) -> None:
    saelens("temporal")(tmp_path / "given")
    told = mt.inspect_dictionary(tmp_path / "given")
    assert "'temporal' is not supported" in told.problem
    assert ("Features", "20") in told.rows


def test_sites_that_a_file_does_not_tell_are_the_user_s_to_say(tmp_path: Path) -> None:
    npz_of()(tmp_path)
    assert "The site is not told" in str(mt.inspect_dictionary(tmp_path))
    one = mt.load_dictionary(tmp_path / "params.npz", reads="mlp_out.3", model="mine")
    assert (one.identity.reads, one.identity.writes) == ("mlp_out.3", "mlp_out.3")
    assert one.identity.model == "mine"
    saelens()(tmp_path / "sae")
    with pytest.raises(DictionaryError, match="it is no transcoder"):
        mt.load_dictionary(tmp_path / "sae", reads="mlp_in.1", writes="mlp_out.1")


def test_a_folder_of_dictionaries_names_those_beneath(tmp_path: Path) -> None:
    saelens()(tmp_path / "all" / "first")
    harvested = tmp_path / "all" / "activations" / "shard-0.safetensors"
    harvested.parent.mkdir()
    save_file({"resid_post.1": torch.zeros(2, 3)}, harvested)
    with pytest.raises(DictionaryError, match=r"choose first\.$"):
        mt.load_dictionary(tmp_path / "all")
    with pytest.raises(DictionaryError, match=r"is one dictionary .* load_dictionary"):
        mt.load_transcoders(tmp_path / "all" / "first")
    with pytest.raises(DictionaryError, match="There is no dictionary 'nowhere'"):
        mt.load_dictionary("nowhere")


def test_what_lacks_the_memory_is_said_before(tmp_path: Path, monkeypatch) -> None:
    saelens()(tmp_path / "sae")
    monkeypatch.setattr("microtome.features.formats.files.free_memory", lambda: 100)
    with pytest.raises(mt.MicrotomeError, match=r"takes 1\.\d kB in float32, but 100 bytes|0"):
        mt.load_dictionary(tmp_path / "sae")


def test_settings_stay_text(tmp_path: Path) -> None:
    """A name from a file is shown, never used as a path or a code."""
    saelens(metadata={"model_name": "../../x", "hook_name": "blocks.1.secret"})(tmp_path / "sae")
    told = mt.inspect_dictionary(tmp_path / "sae")
    assert told.identity.model == "../../x"
    assert told.identity.reads == ""
    assert "No site is named 'blocks.1.secret'." in told.notes
    assert json.dumps(dict(told.identity.source))
