"""Images in sessions: equal when they come back, stored once, refused when they are none."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from session_records import full_session, identity, refused, trace

from microtome.errors import SessionDamaged
from microtome.prompts import ImageInput, Question
from microtome.session.pictures import IMAGES
from microtome.session.reader import open_session
from microtome.session.verify import verify_session
from microtome.session.writer import estimate, save_session

RNG = np.random.default_rng(4)
PHOTO = ImageInput(
    RNG.integers(0, 256, (700, 800, 3), dtype=np.uint8),
    "café.png",
    note="The first frame of 3.",
    source="/data/café.png",
)
SEEN = ImageInput(RNG.integers(0, 256, (8, 8, 1), dtype=np.uint8), "café.png", prepared=True)
OTHER = ImageInput(SEEN.values, "another name", prepared=True)


def seeing():
    """A session of a model that sees, whose runs share an image under two names."""
    model = identity(sees=True, inputs=1, n_encoder_layers=0)
    runs = [trace(model, n=5, seed=seed, sites=("resid_post",)) for seed in range(3)]
    patches = np.array([0, 900, 901, 1700, 902], np.int32)  # more than the model ever names
    first, second, edited = (replace(run, source=None, token_ids=patches) for run in runs)
    return full_session(
        model=model, question=Question(PHOTO, OTHER, "Mary"), circuit=None, analyses={},
        traces=(replace(first, image=SEEN), replace(second, image=OTHER)),
        edited=replace(edited, image=SEEN),
    )  # fmt: skip


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    return save_session(tmp_path_factory.mktemp("images") / "seen.h5", seeing())


def test_images_come_back_equal_and_are_stored_once(image_file):
    back = open_session(image_file)
    assert back.model.sees
    for found, expected in (
        (back.question.prompt, PHOTO), (back.question.corrupt, OTHER), (back.clean.image, SEEN),
        (back.corrupt.image, OTHER), (back.edited.image, SEEN),
    ):  # fmt: skip
        assert found == expected
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.values.dtype == np.uint8
        for name in ("name", "note", "source"):
            assert getattr(found, name) == getattr(expected, name)
        assert found.prepared == expected.prepared
    assert (back.question.answer, back.question.seed) == ("Mary", 0)
    with h5py.File(image_file) as file:
        held = [each for each in file[IMAGES].values() if each.attrs.get("prepared") is not None]
        assert sorted(each.shape for each in held) == [(8, 8, 1), (700, 800, 3)]
        chunked = max(held, key=lambda each: each.size)
        assert chunked.chunks[0] < 700  # as other large arrays
        assert held[0].attrs["dims"] == b"row,column,channel"
    assert verify_session(image_file).damaged == ()
    sizes = dict(estimate(seeing()))
    assert sizes["images"] > PHOTO.values.nbytes + SEEN.values.nbytes - 1


def test_saving_again_what_was_opened_keeps_the_images(image_file, tmp_path):
    again = open_session(save_session(tmp_path / "again.h5", open_session(image_file)))
    assert again.question.prompt == PHOTO
    assert again.clean.image == SEEN


def test_a_reader_of_before_sees_the_names_of_images_as_texts(image_file):
    with h5py.File(image_file) as file:
        text = file["question/question_json"][()].tobytes().decode()
    assert '"prompt": "image café.png (sha256' in text


def test_texts_have_no_images(tmp_path):
    with h5py.File(save_session(tmp_path / "text.h5", full_session())) as file:
        assert IMAGES not in file


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [
        ((8, 8), np.uint8, r"uint8 \(8, 8\), but uint8"),
        ((8, 8, 4), np.uint8, r"\(8, 8, 4\), but uint8 \[row, column, 1 or 3\] was expected"),
        ((8, 8, 1), np.float32, "is float32"),
        ((8, 8, 1), np.uint8, "are not those that were stored"),
        (None, None, "names the image another name, but does not hold it"),
    ],
)
def test_an_image_that_is_none_is_refused_by_name(tmp_path, shape, kind, reason):
    path = save_session(tmp_path / "seen.h5", seeing())
    with h5py.File(path, "r+") as file:
        name = f"{IMAGES}/{SEEN.digest[:24]}"
        attributes = {key: file[name].attrs[key] for key in ("encoding-type", "digest", "prepared")}
        for each in [key for key in file[IMAGES] if file[f"{IMAGES}/{key}"].ndim < 3]:
            del file[f"{IMAGES}/{each}"]
        del file[name]
        if shape is not None:
            file[name] = np.zeros(shape, kind)
            file[name].attrs.update(attributes)
    refused(path, SessionDamaged, reason)
