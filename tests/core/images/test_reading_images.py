"""Image files become pixels, in a process of their own, and say what they lost on the way."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from hostile.images import png, saved
from PIL import Image

import microtome as mt
from microtome.errors import Cancelled, ImageError
from microtome.images import decoder as decoding_parent
from microtome.images import decoding
from microtome.images.decoder import Decoder, decode_bytes
from microtome.images.formats import kind_of
from microtome.jobs import Job
from microtome.triage import programs

RANDOM = np.random.default_rng(7)
COLOUR = RANDOM.integers(0, 256, (6, 5, 3)).astype(np.uint8)
GREY = COLOUR[:, :, 0]


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as made:
        yield made


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_every_format_is_told_by_its_bytes(decoder, kind):
    exact = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    data = saved(COLOUR, kind, **exact.get(kind, {}))
    assert kind_of(data[:64]) == kind
    image = decoder.decode(data, "picture.txt")
    assert (image.name, image.note, image.prepared) == ("picture.txt", "", False)
    away = np.abs(image.values.astype(int) - COLOUR).max()
    assert away <= (4 if kind == "JPEG" else 0)


DEEP = RANDOM.integers(0, 65536, (6, 5)).astype(np.uint16)
ALPHA = np.full((6, 5, 1), 255, np.uint8)
ALPHA[0, 0], ALPHA[1, 1] = 0, 128
CLEAR = np.concatenate([COLOUR, ALPHA], axis=2)
FLOATS = RANDOM.random((6, 5)).astype(np.float32)


def on_white(values):
    share = ALPHA.astype(float) / 255
    return np.rint(values * share + 255 * (1 - share))


def palette():
    held = Image.fromarray(COLOUR).quantize(16)
    return held, np.asarray(held.convert("RGB"))


def coloured_16_bits():
    values = RANDOM.integers(0, 65536, (4, 3, 3)).astype(">u2")
    rows = b"".join(b"\x00" + row.tobytes() for row in values)
    return png(struct.pack(">IIBBBBB", 3, 4, 16, 2, 0, 0, 0), rows), values >> 8


def first_of_three():
    frames = [Image.fromarray(np.roll(GREY, at)) for at in range(3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def held_sideways(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(COLOUR, "PNG", exif=exif)


FORMS = {
    "grey": (saved(GREY), GREY[:, :, None], ""),
    "grey jpeg": (saved(GREY, "JPEG", quality=100), GREY[:, :, None], ""),
    "one bit": (saved(Image.fromarray(GREY > 127)), 255 * (GREY > 127)[:, :, None], ""),
    "palette": (saved(palette()[0]), palette()[1], ""),
    "transparent": (saved(CLEAR), on_white(COLOUR), "laid on white"),
    "all opaque": (saved(Image.fromarray(COLOUR).convert("RGBA")), COLOUR, ""),
    "grey, transparent": (
        saved(Image.fromarray(CLEAR[:, :, [0, 3]])), on_white(GREY[:, :, None]), "laid on white",
    ),
    "one colour transparent": (
        saved(COLOUR, transparency=tuple(map(int, COLOUR[2, 2]))),
        np.where((COLOUR[2, 2] == COLOUR).all(axis=2)[:, :, None], 255, COLOUR), "laid on white",
    ),
    "16 bits": (saved(DEEP), np.rint(DEEP / 257)[:, :, None], "16 bits a pixel are made 8"),
    "16 bits tiff": (saved(DEEP, "TIFF"), np.rint(DEEP / 257)[:, :, None], "16 bits a pixel"),
    "16 bits, coloured": (*coloured_16_bits(), "16 bits a channel are made 8"),
    "floats to one": (
        saved(FLOATS, "TIFF"), np.rint(255 * FLOATS.astype(float))[:, :, None], "from 0 to 1",
    ),
    "floats": (
        saved(np.array([[-1, 0, 3]], np.float32), "TIFF"), [[[0], [64], [255]]], "from -1 to 3",
    ),
    "no numbers": (
        saved(np.array([[np.nan, 2, 6]], np.float32), "TIFF"), [[[0], [0], [255]]], "no numbers",
    ),
    "integers": (
        saved(np.array([[0, 10, 30]], np.int32), "TIFF"), [[[0], [85], [255]]], "from 0 to 30",
    ),
    "first of several": (first_of_three(), GREY[:, :, None], "Only the first"),
    "held sideways": (held_sideways(6), np.rot90(COLOUR, -1), "turned"),
    "seen in a mirror": (held_sideways(2), COLOUR[:, ::-1], "turned"),
    "printing": (
        saved(Image.new("CMYK", (2, 2), (255, 0, 255, 0)), "TIFF"),
        np.full((2, 2, 3), (0, 255, 0)), "CMYK",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_eight_bits_and_says_what_it_lost(decoder, form):
    data, expected, said = FORMS[form]
    image = decoder.decode(data, form)
    expected = np.asarray(expected)
    colours = 3 if form == "first of several" and image.values.shape[2] == 3 else None
    if colours:
        expected = expected.repeat(3, axis=2)
    assert image.values.shape == expected.shape
    assert np.abs(image.values.astype(int) - expected).max() <= (2 if "jpeg" in form else 1)
    assert said in image.note
    assert bool(said) == bool(image.note)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "PPM"])
def test_damage_anywhere_ends_in_an_image_or_a_plain_error(decoder, kind):
    random = np.random.default_rng(len(kind))
    whole = saved(random.integers(0, 256, (40, 30, 3)).astype(np.uint8), kind)
    refused = 0
    for at in range(24):
        data = bytearray(whole)
        if at % 2:
            del data[random.integers(16, len(data)) :]
        for place in random.integers(12, len(data), size=3):
            data[place] = random.integers(256)
        try:
            image = decoder.decode(bytes(data), "damaged")
        except ImageError as error:
            refused += bool(error.way_out)
        else:
            assert image.values.size <= 3 * decoding.MOST_PIXELS
    assert refused
    np.testing.assert_array_equal(decoder.decode(saved(COLOUR), "next").values, COLOUR)


def test_a_jpeg_that_is_too_large_is_read_smaller(monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 1000)
    flat = np.full((120, 96, 3), (200, 90, 10), np.uint8)
    values, notes = decoding.decode(saved(flat, "JPEG"))
    assert values.shape == (30, 24, 3)
    assert np.abs(values.astype(int) - flat[0, 0]).max() < 4
    assert notes == ("Its 96 × 120 pixels are read as 24 × 30.",)
    with pytest.raises(ImageError, match="has 96 × 120 pixels"):
        decoding.decode(saved(flat, "PNG"))
    with pytest.raises(ImageError, match="has 500 × 400 pixels"):
        decoding.decode(saved(np.zeros((400, 500), np.uint8), "JPEG"))


ENDS = {
    "import os; os.kill(os.getpid(), 9)": r"stopped the reader \(SIGKILL\)",
    "import sys; sys.exit(7)": r"stopped the reader \(exit status 7\)",
    "import sys; sys.exit(3)": "the reader of images does not start",
    "while True: pass": "takes longer than 0 seconds",
    "import sys; sys.stdout.write('x' * 99)": "stopped the reader",
    "import sys; sys.stdout.write(chr(6) + 3 * chr(0) + '[1, 2]')": "exit status 0",
    "main(['0'])": "processor time",
    "from microtome.images import child; child._MEMORY = 150 << 20; main(['9'])": "memory",
}
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from microtome.images.child import main
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX's")
@pytest.mark.parametrize("child", ENDS)
def test_a_child_that_ends_or_hangs_is_an_error_and_the_next_image_is_read(monkeypatch, child):
    large = png(struct.pack(">IIBBBBB", 7000, 7000, 8, 2, 0, 0, 0), b"")
    with Decoder() as decoder, monkeypatch.context() as patch:
        patch.setattr(programs, "_START", CHILD + child)
        patch.setattr(decoding_parent, "_PATIENCE", 0.2 if "while" in child else 60.0)
        with pytest.raises(ImageError, match=f"^mine .*{ENDS[child]}"):
            decoder.decode(large, "mine")
        if "memory" not in ENDS[child]:
            assert decoder._child is None
        if "while" in child:
            patch.undo()
            assert decoder.decode(saved(GREY), "next").size == (6, 5)


def test_reading_stops_when_its_job_is_stopped(monkeypatch):
    monkeypatch.setattr(programs, "_START", CHILD + "while True: pass")
    job = Job()

    class Soon(Job):
        def check(self):
            super().check()
            self.cancel()

    for stopped in (Soon(), job):
        job.cancel()
        with pytest.raises(Cancelled):
            decode_bytes(saved(GREY), "mine", stopped)


def test_an_image_of_a_file(tmp_path):
    (tmp_path / "cup.png").write_bytes(saved(COLOUR))
    image = mt.read_image(tmp_path / "cup.png")
    assert image == mt.ImageInput(COLOUR, "cup.png")
    assert (image.name, image.source) == ("cup.png", str(tmp_path / "cup.png"))


def test_what_is_no_file_of_an_image_is_named(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match="is a folder"):
        mt.read_image(tmp_path)
    with pytest.raises(ImageError, match=r"none\.png cannot be read: it is not there"):
        mt.read_image(tmp_path / "none.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageError, match="pipe is no file"):
            mt.read_image(tmp_path / "pipe")
    monkeypatch.setattr(decoding_parent, "MOST_BYTES", 1000)
    (tmp_path / "large.png").write_bytes(saved(COLOUR) + bytes(1000))
    with pytest.raises(ImageError, match=r"large\.png has 1.* kB, but an image may have 1\.0 kB"):
        mt.read_image(tmp_path / "large.png")


def test_a_folder_in_natural_order_with_what_was_left_out(tmp_path):
    for name in ("b10.png", "b9.png", "A1.png"):
        (tmp_path / name).write_bytes(saved(COLOUR if name == "b9.png" else GREY))
    (tmp_path / "b9a.png").write_bytes(saved(COLOUR)[:40])
    (tmp_path / ".hidden").write_text("x")
    for name in ("notes.txt", "empty.png"):
        (tmp_path / name).write_text("" if "empty" in name else "words")
    (tmp_path / "inner").mkdir()
    told = []
    held = mt.read_images(tmp_path, job=Job(told.append))
    assert [image.name for image in held] == ["A1.png", "b9.png", "b10.png"]
    assert held[1].values.shape == (6, 5, 3)
    assert (len(held), held.name, held.others, held.beyond) == (3, tmp_path.name, 2, 0)
    assert held.note.startswith("2 files are no images. b9a.png is a damaged PNG image")
    assert (told[-1].done, told[-1].total) == (4, 4)
    few = mt.read_images(str(tmp_path), limit=1)
    assert [image.name for image in few] == ["A1.png"]
    assert few.note.endswith("3 more images were not read: there are too many.")
    stopped = Job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        mt.read_images(tmp_path, job=stopped)


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(ImageError, match="none is not there"):
        mt.read_images(tmp_path / "none")
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(ImageError, match="is a file"):
        mt.read_images(tmp_path / "a.txt")
    with pytest.raises(ImageError, match=f"{tmp_path.name} holds no image that can be read"):
        mt.read_images(tmp_path)
    (tmp_path / "b.png").write_bytes(saved(COLOUR)[:40])
    with pytest.raises(ImageError, match=r"no image that can be read\. b\.png is a damaged PNG"):
        mt.read_images(tmp_path)
