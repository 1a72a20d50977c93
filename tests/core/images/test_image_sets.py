"""Sets of labelled images: checked when made, read from folders, refused with what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import microtome as mt
from microtome.errors import Cancelled, ImageError
from microtome.images.sets import image_set_names
from microtome.jobs import Job

CLASSES, DOMAINS = ("Ann", "cup", "hat"), ("faces", "objects", "objects")
SETTINGS = {"name": "few", "title": "A few", "classes": CLASSES, "domains": DOMAINS}


@pytest.mark.parametrize("name", image_set_names())
def test_every_embedded_set_fits_its_model(embedded, name):
    held = mt.load_image_set(name)
    assert (held.name, bool(held.title)) == (name, True)
    assert name in image_set_names(held.model)
    model = embedded(held.model)
    read = model.sight.pixels([held.image(at) for at in range(0, len(held), 16)])
    found = model.sight.logits(read).argmax(dim=1).tolist()
    assert np.mean(np.array(found) == held.labels[::16]) > 0.9
    assert held.of(held.domains[0]).labels.max() < len(held.classes) - 1
    assert image_set_names("words-4l") == image_set_names("nowhere") == ()


def few(labels=(1, 0, 1, 2), **changed):
    images = np.arange(len(labels) * 6, dtype=np.uint8).reshape(-1, 3, 2, 1)
    given = {"images": images, "labels": np.array(labels), "classes": CLASSES, "domains": DOMAINS}
    return mt.ImageSet("few", **(given | changed))


def test_images_have_names_and_parts_keep_their_labels():
    held = few()
    assert held.names == ("cup 0", "Ann 0", "cup 1", "hat 0")
    image = held.image(2)
    assert (image.name, image.prepared) == ("cup 1", False)
    np.testing.assert_array_equal(image.values, held.images[2])
    assert held.image(np.int64(3)).name == "hat 0"
    cups = held.of("cup")
    assert cups.labels.tolist() == [1, 1]
    assert cups.names == ("cup 0", "cup 1")
    assert cups.classes == held.classes
    assert [cups.image(at).source for at in (0, 1)] == ["set:few/0", "set:few/2"]
    assert held.of("objects").of("hat").image(0).source == "set:few/3"
    assert len(held.of(["objects"])) == 3
    assert held.of("faces").image(0) == held.image(1)
    assert len({held.digest, cups.digest, few(labels=(1, 0, 1, 1)).digest, few().digest}) == 3


def test_a_set_is_frozen():
    images = np.zeros((1, 2, 2, 3), np.uint8)
    held = mt.ImageSet("one", images, np.array([0]), ("a",), ("b",))
    images[:] = 7
    assert not held.images.any()
    with pytest.raises(ValueError, match="read-only"):
        held.labels[0] = 1


@pytest.mark.parametrize("place", [-1, 4])
def test_an_image_that_is_not_there_is_named(place):
    with pytest.raises(ImageError, match=str(place)):
        few().image(place)


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(ImageError, match=r"'plates'.*faces, objects, Ann, cup, hat"):
        few().of("plates")
    with pytest.raises(ImageError, match="no image of hat"):
        few(labels=(0, 1)).of("hat")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.array([0, 1, 2, 3])}, "outside 0 to 2"),
        ({"domains": ("a",)}, "3 classes and 1 domains"),
        ({"classes": ("a", "a", "b")}, "two of one name"),
        ({"classes": ("a", "", "b")}, "empty"),
        ({"images": np.zeros((4, 3, 3, 2), np.uint8)}, r"\(4, 3, 3, 2\)"),
    ],
)
def test_what_does_not_fit_is_named(changed, said):
    with pytest.raises(ImageError, match=f"few cannot be used: .*{said}"):
        few(**changed)


def folder_of(tmp_path, arrays=None, **changed):
    held = few()
    save_file(
        arrays or {"images": held.images, "labels": held.labels}, tmp_path / "images.safetensors"
    )
    (tmp_path / "set.json").write_text(json.dumps(SETTINGS | changed))
    return tmp_path


def test_a_set_from_a_folder(tmp_path):
    found = mt.load_image_set(folder_of(tmp_path, note="made here"))
    assert (found.name, found.title, found.note, found.model) == ("few", "A few", "made here", "")
    assert found.digest == few().digest
    assert mt.load_image_set(str(tmp_path)).classes == tuple(CLASSES)


def test_a_folder_that_is_no_set_is_named(tmp_path):
    with pytest.raises(ImageError, match="no image set 'nowhere', embedded or as a folder"):
        mt.load_image_set("nowhere")
    with pytest.raises(ImageError, match=r"it has no set\.json, and no folders of images"):
        mt.load_image_set(tmp_path)
    for changed, said in (({"classes": "cup"}, "no list of classes"), ({"note": 3}, "no text")):
        with pytest.raises(ImageError, match=said):
            mt.load_image_set(folder_of(tmp_path, **changed))
    with pytest.raises(ImageError, match="holds no labels"):
        mt.load_image_set(folder_of(tmp_path, {"images": few().images}))
    path = tmp_path / "images.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ImageError, match=r"images\.safetensors cannot be read"):
        mt.load_image_set(tmp_path)
    (tmp_path / "set.json").write_text("[")
    with pytest.raises(ImageError, match="not readable as JSON"):
        mt.load_image_set(tmp_path)


def pictures(folder, **sizes):
    """A folder for each class, with grey images of these sizes; white grows with their number."""
    for name, held in sizes.items():
        (folder / name).mkdir()
        for at, size in enumerate(held):
            Image.fromarray(np.full(size, 10 * at, np.uint8)).save(folder / name / f"{at}.png")


def test_a_folder_of_a_folder_a_class_is_a_set(tmp_path):
    pictures(tmp_path, hat10=[(4, 6)] * 2, hat9=[(4, 6)], none=[])
    (tmp_path / "read me.txt").write_text("words")
    held = mt.load_image_set(tmp_path)
    assert (held.name, held.note) == (tmp_path.name, "")
    assert held.classes == held.domains == ("hat9", "hat10")
    assert held.names == ("hat9 0", "hat10 0", "hat10 1")
    assert held.images.shape == (3, 4, 6, 1)
    assert held.images[:, 0, 0, 0].tolist() == [0, 0, 10]


def test_images_of_many_sizes_become_squares_and_damaged_ones_are_told(tmp_path):
    pictures(tmp_path, cup=[(4, 6), (9, 5), (8, 8)], hat=[(3, 3)])
    (tmp_path / "cup" / "1.png").write_bytes((tmp_path / "cup" / "1.png").read_bytes()[:40])
    Image.new("RGB", (9, 9), (0, 0, 200)).save(tmp_path / "hat" / "a.png")
    held = mt.load_image_set(tmp_path, edge=5)
    assert held.images.shape == (4, 5, 5, 3)
    assert held.labels.tolist() == [0, 0, 1, 1]
    assert held.images[:, 2, 2].tolist() == [[0] * 3, [20] * 3, [0] * 3, [0, 0, 200]]
    assert held.note.startswith(
        "Images of 4 sizes: the shorter edge is made 5, the middle cut out."
    )
    assert "1.png is a damaged PNG" in held.note
    stopped = Job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        mt.load_image_set(tmp_path, job=stopped)
    for path in tmp_path.glob("*/*"):
        path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ImageError, match=r"no image that can be read\. 0\.png is a damaged"):
        mt.load_image_set(tmp_path)
