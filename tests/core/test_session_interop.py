"""Other programs read a session: plain h5py, xarray by two engines, netCDF4, and NeXus viewers."""

import json
import zlib

import h5py
import numpy as np
import pytest
from session_records import WORDS, full_session

from microtome.session.writer import save_session
from microtome.sites import SITES


@pytest.fixture(scope="module")
def session():
    return full_session()


@pytest.fixture(scope="module")
def path(tmp_path_factory, session):
    path = tmp_path_factory.mktemp("interop") / "session.h5"
    return save_session(path, session, include=(*SITES, "logits"))


ENGINES = ("h5netcdf", "netcdf4")


def dataset(path, group, engine):
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    return pytest.importorskip("xarray").open_dataset(path, group=group, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_names_the_axes_of_activations(path, session, engine):
    with dataset(path, "activations", engine) as found:
        site = found["mlp_post"]
        assert site.dims == ("prompt", "layer", "pos", "d_mlp")
        assert site.attrs["hook"] in ("blocks.{}.mlp.hook_post", b"blocks.{}.mlp.hook_post")
        wanted = session.corrupt.activations["mlp_post"].values
        np.testing.assert_array_equal(site.isel(prompt=1).values, wanted)
        assert found["k"].dims == ("prompt", "layer", "pos", "kv_head", "d_head")


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_names_the_axes_of_attention(path, session, engine):
    with dataset(path, "attention", engine) as found:
        assert found["pattern"].dims == ("prompt", "layer", "head", "query", "key")
        wanted = session.clean.attention(2)
        np.testing.assert_array_equal(found["pattern"].isel(prompt=0, layer=2).values, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_reads_an_analysis(path, session, engine):
    with dataset(path, "analyses/logit-lens", engine) as found:
        lens = session.analyses["logit-lens"]
        assert found["probability"].dims == ("stage", "pos")
        np.testing.assert_array_equal(found["probability"].values, lens.array("probability"))
        texts = found["top_token"].values[0].tolist()
        words = [text.decode() if isinstance(text, bytes) else text for text in texts]
        assert words == lens.array("top_token")[0].tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_opens_the_whole_file_as_a_tree(path, session, engine):
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    with pytest.importorskip("xarray").open_datatree(path, engine=engine) as tree:
        site = tree["activations/resid_post"]
        assert site.dims == ("prompt", "layer", "pos", "d_model")
        assert tree["activations"].coords["layer"].values.tolist() == [0, 1, 2]
        values = site.sel(prompt=0, layer=1).values
        np.testing.assert_array_equal(values, session.clean.activation("resid_post.1"))
        assert tree["circuit/edge_weight"].dims == ("edge",)
        np.testing.assert_array_equal(tree["circuit/edge_weight"], session.circuit.edge_weight)


def test_netcdf4_reads_text_and_numbers(path, session):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(path) as file:
        ids = file["tokens/ids"]
        assert ids.dimensions == ("prompt", "pos")
        np.testing.assert_array_equal(ids[0], session.clean.token_ids)
        assert file.getncattr("format") == "microtome-session"


def test_plain_h5py_needs_nothing_of_ours(path, session):
    with h5py.File(path) as file:
        assert file.attrs["format"] == b"microtome-session"
        assert file.attrs["format_version"] == b"1.3"
        assert [word.decode() for word in file["tokens/text"][0]] == list(session.clean.tokens)
        site = file["activations/resid_post"]
        assert [axis[0].name for axis in site.dims] == ["/prompt", "/layer", "/pos", "/d_model"]
        assert site.dtype == np.float32
        np.testing.assert_array_equal(site[0, 2], session.clean.activation("resid_post.2"))
        assert json.loads(file["circuit/method_json"][()].tobytes())["tau"] == 3e-4
        config = json.loads(json.loads(file["model/config_json"][()].tobytes()))
        assert config["n_layer"] == 3


def test_every_dataset_has_named_axes_and_fixed_types(path):
    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        assert item.dtype.kind in "iufS", name
        if "CLASS" not in item.attrs:
            assert all(len(axis) == 1 for axis in item.dims), name
        for key in item.attrs:
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST"):
                assert isinstance(item.attrs[key], np.generic | np.ndarray), (name, key)

    with h5py.File(path) as file:
        file.visititems(visit)


def test_the_manifest_can_be_checked_with_zlib_alone(path):
    with h5py.File(path) as file:
        names = ("path", "chunk_index", "crc32")
        tables = ("manifest", "manifest/changing")
        rows = [
            row for t in tables for row in zip(*(file[f"{t}/{n}"][()] for n in names), strict=True)
        ]
        assert {name.decode().split("/")[1] for name, _, _ in rows} >= {"tokens", "circuit"}
        for name, number, crc in rows:
            held = file[name.decode()]
            data = held[()].tobytes()
            if held.chunks is not None:
                offset = held.id.get_chunk_info(int(number)).chunk_offset
                data = held.id.read_direct_chunk(offset)[1]
            assert zlib.crc32(data) == crc, name


def test_a_viewer_opens_with_the_logit_lens(path, session):
    nxdata = pytest.importorskip("silx.io.nxdata")
    import silx.io

    with silx.io.open(str(path)) as file:
        plot = nxdata.get_default(file)
        assert plot.is_valid
        assert plot.is_image
        assert plot.signal_name == "probability"
        assert plot.axes_names == ["stage", "pos"]
        wanted = session.analyses["logit-lens"].array("probability")
        np.testing.assert_array_equal(plot.signal[()], wanted)


def test_a_viewer_shows_the_projection_as_a_curve(path, session):
    nxdata = pytest.importorskip("silx.io.nxdata")
    import silx.io

    with silx.io.open(str(path)) as file:
        plot = nxdata.NXdata(file["entry/plots/projection_resid_post"])
        assert plot.is_valid
        assert plot.is_curve
        points = session.analyses["projection/resid_post"].array("points")
        np.testing.assert_array_equal(plot.signal[()], points[:, 1])
        np.testing.assert_array_equal(plot.axes[0][()], points[:, 0])


def test_plots_are_hard_links_not_copies(path):
    with h5py.File(path) as file:
        assert file["entry/plots/logit-lens/probability"] == file["analyses/logit-lens/probability"]
        assert WORDS[9] in file["tokens/text"].asstr()[0]
