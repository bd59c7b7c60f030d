"""Model files: the same bits come back, and nothing that is not a whole, sound model is let in."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import Mixture, Noise
from mixtura import io as model_io
from mixtura._version import __version__
from mixtura.covariance import registry
from mixtura.covariance.structure import Diagonal, Full, Tied
from mixtura.io import ModelFileError, load, save

GOLDEN = Path(__file__).parent / "golden"


def mixture(kind, n_components=3, n_features=2, seed=11, columns=None):
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((n_components, n_features, n_features + 3))
    matrices = spread @ np.swapaxes(spread, 1, 2)
    structure = {
        "full": lambda: Full.from_covariances(matrices),
        "tied": lambda: Tied.from_covariance(matrices[0], n_components),
        "diagonal": lambda: Diagonal.from_variances(np.diagonal(matrices, axis1=1, axis2=2)),
    }[kind]()
    weights = rng.dirichlet(np.ones(n_components))
    means = rng.standard_normal((n_components, n_features)) * 10.0 ** rng.integers(-9, 9)
    return Mixture(weights, means, structure, columns=columns)


def bits(model):
    arrays = {"weights": model.weights, "means": model.means, **model.structure.parameters()}
    return {name: (array.shape, array.tobytes()) for name, array in arrays.items()}


KINDS = {"full": "full", "tied": "tied", "diagonal": "diag"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 1), (3, 2), (7, 12)])
def test_the_same_bits_come_back(tmp_path, kind, size):
    model = mixture(kind, *size, columns=[f"column {j} ü" for j in range(size[1])])
    save(model, tmp_path / "model", metadata={"bic": 0.1, "note": "ü", "rows": [1, None]})
    saved = load(tmp_path / "model")
    assert bits(saved.mixture) == bits(model)
    assert saved.mixture == model
    assert saved.mixture.columns == model.columns
    assert saved.mixture.structure.kind == kind
    assert saved.family == KINDS[kind]
    assert saved.metadata == {"bic": 0.1, "note": "ü", "rows": [1, None]}
    assert saved.format_version == 1
    rows = model.sample(20, 3)
    assert saved.mixture.logpdf(rows).tobytes() == model.logpdf(rows).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "noise",
    [
        Noise.of_density(1e-3, 0.25),
        Noise.box([-1.0, 0.0], [1 / 3, 1e-9], 0.25),
        Noise.region(np.array([1.0, 2.0]), np.array([[1.0, 0.3], [0.1, 7.0]]), 0.25, estimated=True),
    ],
    ids=["density", "box", "region"],
)
def test_noise_comes_back(tmp_path, kind, noise):
    plain = mixture(kind)
    model = Mixture(0.75 * plain.weights, plain.means, plain.structure, noise=noise)
    save(model, tmp_path / "model")
    saved = load(tmp_path / "model")
    assert saved.mixture == model
    assert saved.format_version == 2
    save(saved.mixture, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"weight": 0.5}, "its noise does not say just weight, log_density, estimated"),
        ("much", "its noise does not say just"),
        ({"weight": "0.5", "log_density": 0.0, "estimated": True}, "weight or density of its noise is no number"),
        ({"weight": 0.5, "log_density": 0.0, "estimated": 1}, "weight or density of its noise is no number"),
        ({"weight": 1.5, "log_density": 0.0, "estimated": True}, "must lie between 0 and 1"),
        ({"weight": 10**400, "log_density": 0.0, "estimated": True}, "int too large to convert to float"),
        ({"weight": 0.5, "log_density": 0.0, "estimated": True}, "its weights are no probability vector"),
    ],
)
def test_noise_that_is_wrong(forge, told, complaint):
    with pytest.raises(ModelFileError, match=complaint):
        load(forge(header={"noise": told}))


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_any_finite_numbers_come_back(tmp_path_factory, data):
    finite = st.floats(allow_nan=False, allow_infinity=False)
    means = data.draw(st.lists(finite, min_size=2, max_size=2))
    scale = data.draw(st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=2))
    weight = data.draw(st.floats(0, 1))
    model = Mixture([weight, 1 - weight], means, Diagonal(np.array(scale)[:, None]))
    path = tmp_path_factory.mktemp("any") / "model"
    save(model, path)
    assert bits(load(path).mixture) == bits(model)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save(mixture("full"), tmp_path / name, metadata={"b": 1, "a": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    save(load(tmp_path / "one").mixture, tmp_path / "three", metadata={"b": 1, "a": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "three").read_bytes()


def test_what_is_in_the_file(tmp_path):
    save(mixture("tied"), tmp_path / "model", family="EEE")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        assert archive.namelist() == ["model.json", "weights.npy", "means.npy", "cholesky.npy"]
        header = json.loads(archive.read("model.json"))
        cholesky = np.load(io.BytesIO(archive.read("cholesky.npy")), allow_pickle=False)
    assert header == {
        "format": "mixtura-model",
        "format_version": 1,
        "mixtura_version": __version__,
        "family": "tied",
        "structure": "tied",
        "columns": None,
        "n_components": 3,
        "n_features": 2,
        "arrays": {
            "weights": {"shape": [3], "dtype": "<f8"},
            "means": {"shape": [3, 2], "dtype": "<f8"},
            "cholesky": {"shape": [2, 2], "dtype": "<f8"},
        },
        "metadata": {},
    }
    np.testing.assert_array_equal(cholesky, mixture("tied").structure.cholesky)


@pytest.mark.parametrize("family", registry.FAMILIES, ids=lambda family: family.name)
def test_every_family(tmp_path, family):
    save(mixture(family.kind), tmp_path / "model", family=family.mclust)
    assert load(tmp_path / "model").family == family.name


def test_a_file_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"something dear")
    with pytest.raises(FileExistsError, match="model exists already: choose another name, or"):
        save(mixture("full"), path)
    assert path.read_bytes() == b"something dear"
    save(mixture("full"), path, overwrite=True)
    assert load(path).mixture == mixture("full")
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model"
    for metadata in ({"bic": float("nan")}, {"a": object()}, {(1, 2): 3}):
        with pytest.raises(ModelFileError, match="metadata must be plain JSON, without NaN"):
            save(mixture("full"), path, metadata=metadata)
    with pytest.raises(ModelFileError, match=r"metadata take .* bytes of JSON"):
        save(mixture("full"), path, metadata={"a": "x" * (1 << 24)})
    with pytest.raises(TypeError, match="a Mixture can be saved, not int"):
        save(5, path)
    with pytest.raises(ValueError, match="unknown covariance family 'round'"):
        save(mixture("full"), path, family="round")
    with pytest.raises(ModelFileError, match=r"the name of the column 'a\\udcff' is no text: rename it"):
        save(mixture("full", columns=["a\udcff", "b"]), path)
    with pytest.raises(ModelFileError, match=r"cannot write .*no/model: No such file"):
        save(mixture("full"), tmp_path / "no" / "model")
    assert list(tmp_path.iterdir()) == []


# Golden files: every format that was ever released is read for ever, to the bit.


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.mixtura")), ids=lambda path: path.stem)
def test_golden_files(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    saved = load(path)
    model = saved.mixture
    assert saved.format_version == expected["format_version"]
    assert saved.family == expected["family"]
    assert saved.metadata == expected["metadata"]
    assert model.structure.kind == expected["structure"]
    assert list(model.columns) == expected["columns"]
    arrays = {"weights": model.weights, "means": model.means, **model.structure.parameters()}
    if model.noise is not None:
        arrays |= {"noise_origin": model.noise.origin, "noise_edges": model.noise.edges}
        told = expected["noise"]
        assert [model.noise.weight.hex(), model.noise.log_density.hex()] == [told["weight"], told["log_density"]]
        assert model.noise.estimated == told["estimated"]
    assert {name: array.shape for name, array in arrays.items()} == {
        name: tuple(entry["shape"]) for name, entry in expected["arrays"].items()
    }
    for name, entry in expected["arrays"].items():
        assert [x.hex() for x in arrays[name].ravel().tolist()] == entry["values"]
    np.testing.assert_allclose(model.logpdf(expected["rows"]), expected["logpdf"], rtol=1e-12, atol=0)


def test_there_is_a_golden_file_of_this_format():
    versions = [json.loads(path.read_text())["format_version"] for path in GOLDEN.glob("*.json")]
    assert model_io.FORMAT_VERSION in versions


# Files that are no sound models


def npy(array, dtype="<f8"):
    content = io.BytesIO()
    np.lib.format.write_array(content, np.asarray(array, dtype=dtype), allow_pickle=True)
    return content.getvalue()


@pytest.fixture
def forge(tmp_path):
    """Writes a model file with some of its entries and members replaced; None leaves one out."""

    def forge_(kind="full", header=(), members=(), compression=zipfile.ZIP_STORED):
        path = tmp_path / "model"
        save(mixture(kind), path, overwrite=True)
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        changed = {**json.loads(content["model.json"]), **dict(header)}
        content["model.json"] = json.dumps(
            {key: value for key, value in changed.items() if value is not Ellipsis}
        ).encode()
        content.update(members)
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in content.items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return forge_


def refused(path, message):
    with pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_forged_file_that_changes_nothing_is_read(forge):
    assert load(forge()).mixture == mixture("full")
    assert load(forge(header={"from_a_later_minor_version": 1})).mixture == mixture("full")


def test_what_is_no_model_file(tmp_path):
    path = tmp_path / "model"
    refused(path, "^there is no file ")
    refused(tmp_path, "cannot read .*: Is a directory")
    for content in (b"", b"a,b\n1,2\n", pickle.dumps({}), b"PK\3\4 and so on", b"\0" * 1000):
        path.write_bytes(content)
        refused(path, "is cut short or no Mixtura model file: it is not a zip")
    np.savez(path.with_suffix(".npz"), weights=[1.0])
    refused(path.with_suffix(".npz"), "is not a Mixtura model file: it has no model.json")


HEADERS = [
    ({"format": "other"}, "is not a Mixtura model file: its model.json does not say 'mixtura-mod"),
    ({"format": ...}, "is not a Mixtura model file"),
    ({"format_version": ...}, "is damaged: its format version is None"),
    ({"format_version": "1"}, "is damaged: its format version is '1'"),
    ({"format_version": True}, "is damaged: its format version is True"),
    ({"format_version": 0}, "is damaged: its format version is 0"),
    (
        {"format_version": 3, "mixtura_version": "9.1", "arrays": ...},
        r"written by a newer Mixtura \('9\.1'\): its format version is 3, .* up to 2; upgrade it",
    ),
    ({"family": "round"}, "covariance family 'round', which this Mixtura does not know: upgrade"),
    ({"family": ["full"]}, "covariance family .'full'., which"),
    ({"family": ...}, "covariance family None, which"),
    ({"structure": "banded"}, "its structure is not one of full, tied, diagonal"),
    ({"structure": []}, "its structure is not one of"),
    ({"structure": "tied"}, "declares are not those of 3 components in 2 columns"),
    ({"n_components": 0}, "n_components and n_features must be from 1 to"),
    ({"n_components": -3}, "n_components and n_features must be from 1 to"),
    ({"n_components": 3.0}, "n_components and n_features must be from 1 to"),
    ({"n_components": ...}, "n_components and n_features must be from 1 to"),
    ({"n_components": 10**40}, "n_components and n_features must be from 1 to"),
    ({"n_features": True}, "n_components and n_features must be from 1 to"),
    ({"n_features": 10**6}, "3 components in 1000000 columns are too many"),
    ({"n_features": 3}, "declares are not those of 3 components in 3 columns"),
    ({"arrays": ...}, "is damaged: the arrays that its model.json declares"),
    ({"arrays": {}}, "is damaged: the arrays that its model.json declares"),
    ({"columns": ["a"]}, "its columns are not 2 different names"),
    ({"columns": ["a", "a"]}, "its columns are not 2 different names"),
    ({"columns": ["a", 1]}, "its columns are not 2 different names"),
    ({"columns": ["a", "\ud800"]}, "its columns are not 2 different names"),
    ({"columns": "ab"}, "its columns are not 2 different names"),
    ({"metadata": []}, "its metadata are no JSON object"),
    ({"metadata": ...}, "its metadata are no JSON object"),
]


@pytest.mark.parametrize(("header", "message"), HEADERS)
def test_headers_that_are_wrong(forge, header, message):
    refused(forge(header=header), message)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"1" * 10_000, b"null x", b'{"a": 1e999}'],
)
def test_headers_that_are_no_json(forge, text):
    refused(forge(members={"model.json": text}), "is damaged: its model.json is no JSON")


@pytest.mark.parametrize(("kind", "of"), [("diagonal", "scale"), ("full", "cholesky"), ("tied", "cholesky")])
@pytest.mark.parametrize("size", [1e-310, 1e-301, 1e301])
def test_covariances_without_densities(forge, tmp_path, kind, of, size):
    shape = {"scale": (3, 2), "cholesky": (3, 2, 2) if kind == "full" else (2, 2)}[of]
    factor = size * (np.ones(shape) if of == "scale" else np.broadcast_to(np.eye(2), shape))
    refused(forge(kind, members={f"{of}.npy": npy(factor)}), "its covariances leave the range of double precision")
    structure = {"diagonal": Diagonal, "full": Full, "tied": lambda factor: Tied(factor, 3)}[kind](factor.copy())
    with pytest.raises(ModelFileError, match="covariances leave the range of double precision: measure in other"):
        save(Mixture([0.2, 0.3, 0.5], np.zeros((3, 2)), structure), tmp_path / "other")


@pytest.mark.parametrize("text", [b"[]", b"null", b'"mixtura-model"'])
def test_headers_of_another_kind(forge, text):
    refused(forge(members={"model.json": text}), "is not a Mixtura model file")


MEMBERS = [
    ("full", {"weights.npy": None}, "is refused: its members are not just cholesky.npy, means.npy"),
    ("full", {"more.npy": npy([1.0])}, "is refused: its members are not just"),
    ("full", {"../../evil.npy": b""}, "is refused: its members are not just"),
    ("full", {"/etc/passwd": b""}, "is refused: its members are not just"),
    ("full", {"a folder/": b""}, "is refused: its members are not just"),
    ("full", {"model.json": None}, "is not a Mixtura model file: it has no model.json"),
    ("full", {"weights.npy": b""}, "is refused: its member 'weights.npy' has 0 bytes, not about"),
    ("full", {"weights.npy": npy(np.ones(5000))}, "'weights.npy' has 40128 bytes, not about 24"),
    ("full", {"weights.npy": b"\0" * 200}, "'weights.npy' is no array"),
    ("full", {"weights.npy": b"\x93NUMPY\1\0\x80\0" + b"(" * 128}, "'weights.npy' is not of type <f8"),
    ("full", {"weights.npy": b"\x93NUMPY\1\0\x80\0" + b"1" * 128}, "'weights.npy' is not of type <f8"),
    ("full", {"weights.npy": b"\x93NUMPY\4\0\x80\0" + b" " * 128}, "'weights.npy' is no array, or of another"),
    ("full", {"weights.npy": npy([0.5, 0.5])}, r"not of type <f8 and shape \(3,\)"),
    ("full", {"weights.npy": npy([[0.2], [0.3], [0.5]])}, r"not of type <f8 and shape \(3,\)"),
    ("full", {"weights.npy": npy([1, 0, 0], "<i8")}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.5], ">f8")}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.5], "<f4")}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.5], object)}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.5]) + b"\0"}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.5])[:-1]}, "not of type <f8"),
    ("full", {"means.npy": npy(np.asfortranarray(np.eye(3, 2)))}, "not of type <f8"),
    ("full", {"weights.npy": npy([0.2, 0.3, 0.6])}, "its weights are no probability vector"),
    ("full", {"weights.npy": npy([-0.5, 0.5, 1])}, "its weights are no probability vector"),
    ("full", {"weights.npy": npy([1e308, 1e308, 1e308])}, "its weights are no probability vector"),
    ("full", {"weights.npy": npy([0.2, 0.8, np.nan])}, "its weights are not all finite"),
    ("full", {"means.npy": npy(np.full((3, 2), np.inf))}, "its means are not all finite"),
    ("full", {"cholesky.npy": npy(np.ones((3, 2, 2)))}, "not lower triangular with a positive d"),
    ("full", {"cholesky.npy": npy(np.zeros((3, 2, 2)))}, "a covariance is not positive definite"),
    ("full", {"cholesky.npy": npy([-np.eye(2)] * 3)}, "a covariance is not positive definite"),
    ("tied", {"cholesky.npy": npy([[1, 1e-300], [0, 1]])}, "a covariance is not positive definite"),
    ("diagonal", {"scale.npy": npy([[1, 1], [1, 0], [1, 1]])}, "deviations are not all positive"),
    ("diagonal", {"scale.npy": npy(np.full((3, 2), np.nan))}, "its scale are not all finite"),
]


@pytest.mark.parametrize(("kind", "members", "message"), MEMBERS)
def test_members_that_are_wrong(forge, kind, members, message):
    refused(forge(kind, members=members), message)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice(forge):
    path = forge()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights.npy", npy([0.2, 0.3, 0.5]))
    refused(path, "is refused: its members are not just")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_unpacked(forge, method):
    path = forge(members={"model.json": b" " * (1 << 23)}, compression=method)
    refused(path, "is refused: its member 'model.json' is compressed, which those of model files are not")
    path = forge()
    content = {name: zipfile.ZipFile(path).read(name) for name in ("weights.npy", "means.npy", "cholesky.npy")}
    with zipfile.ZipFile(path, "a") as archive:
        header = archive.read("model.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", header)
        for name, data in content.items():
            archive.writestr(name, data, method if name == "means.npy" else zipfile.ZIP_STORED)
    refused(path, "is refused: its member 'means.npy' is compressed")


def test_sizes_that_no_file_should_have(forge):
    refused(forge(members={"model.json": b" " * ((1 << 24) + 1)}), "its model.json is larger than 16777216 bytes")
    shapes = {"weights": [3], "means": [3, 9000], "cholesky": [3, 9000, 9000]}
    header = {
        "n_features": 9000,
        "arrays": {name: {"shape": shape, "dtype": "<f8"} for name, shape in shapes.items()},
    }
    refused(forge(header=header), "'means.npy' has 176 bytes, not about 216000")


def entry_of(content, name):
    """Where a member stands in the directory of a zip."""
    at = content.rindex(name) - 46
    assert content[at : at + 4] == b"PK\1\2"
    return at


@pytest.mark.parametrize("which", [("packed", 20), ("unpacked", 24)])
@pytest.mark.parametrize("by", [-8, 8])
def test_a_size_that_lies(forge, which, by):
    path = forge()
    content = bytearray(path.read_bytes())
    at = entry_of(content, b"means.npy") + which[1]
    struct.pack_into("<I", content, at, struct.unpack_from("<I", content, at)[0] + by)
    path.write_bytes(content)
    refused(path, r"'means.npy' claims \d+ bytes that are not there")


def test_a_size_beyond_the_end_of_the_file(forge):
    shapes = {"weights": [3], "means": [3, 20_000], "cholesky": [3, 20_000, 20_000]}
    arrays = {name: {"shape": shape, "dtype": "<f8"} for name, shape in shapes.items()}
    means = npy(np.zeros((3, 20_000)))
    path = forge(header={"n_features": 20_000, "arrays": arrays}, members={"means.npy": means})
    content = bytearray(path.read_bytes())
    at = entry_of(content, b"cholesky.npy")
    size = 3 * 20_000**2 * 8 + 128
    assert size > 1 << 32  # so it stands in an extra field
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    struct.pack_into("<II", content, at + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", content, at + 30, len(extra))
    end = content.rindex(b"PK\5\6")
    length = struct.unpack_from("<I", content, end + 12)[0] + len(extra)
    struct.pack_into("<I", content, end + 12, length)
    name_ends = at + 46 + len(b"cholesky.npy")
    path.write_bytes(content[:name_ends] + extra + content[name_ends:])
    refused(path, f"'cholesky.npy' claims {size} bytes that are not there")


def test_an_encrypted_member(forge):
    path = forge()
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    refused(path, "is damaged: its member 'model.json' cannot be read .*encrypted")


def test_a_file_cut_short_anywhere(tmp_path):
    path, cut = tmp_path / "model", tmp_path / "cut"
    save(mixture("diagonal"), path)
    content = path.read_bytes()
    for size in range(0, len(content), 37):
        cut.write_bytes(content[:size])
        refused(cut, "cut short")


def test_any_changed_byte_is_noticed_or_does_no_harm(tmp_path):
    model = mixture("full")
    path, changed = tmp_path / "model", tmp_path / "changed"
    save(model, path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for at in range(0, len(content), 3):
        other = bytearray(content)
        other[at] ^= rng.integers(1, 256)
        changed.write_bytes(other)
        try:
            assert bits(load(changed).mixture) == bits(model)
        except ModelFileError:
            noticed += 1
    assert noticed > len(content) // 3 * 0.7


def test_a_zip_of_many_members_is_refused(forge):
    refused(forge(members={f"{i}": b"" for i in range(2000)}), "its members are not just")
