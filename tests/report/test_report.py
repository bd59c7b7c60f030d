"""The report as a document: its numbers, its structure, and names that stay text."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import mixtura
from mixtura import report
from mixtura.cli import main
from mixtura.report import page as page_module
from mixtura.report.markdown import plain

from .conftest import HOSTILE, KINDS, ROOT, blobs

VOID = {"meta", "br", "img", "input", "hr", "link", "area", "base", "col", "embed", "source", "track", "wbr"}
#: Kinds that are made quickly.
QUICK = ("faithful", "iris", "acidity", "hostile", "single", "stopped", "noisy")


class Node:
    """An element: its tag, attributes, children and text."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes, self.children = tag, attributes, []

    def all(self, *tags: str) -> list[Node]:
        """The elements of these tags within."""
        found = []
        for child in self.children:
            if isinstance(child, Node):
                found += [child] * (not tags or child.tag in tags)
                found += child.all(*tags)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Tree(HTMLParser):
    """The elements of a page; every one must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert [node.tag for node in self._open] == ["root"]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag, attrs):
        self._open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        self._open[-1].children.append(data)


def tree_of(path: Path) -> Node:
    return Tree(path.read_text(encoding="utf-8")).root


def table_of(root: Node, name: str) -> tuple[list[str], list[list[Node]]]:
    """Heads and cells of the table of that name."""
    (table,) = (node for node in root.all("table") if node.attributes.get("id") == name)
    (head,) = table.all("thead")
    (body,) = table.all("tbody")
    heads = [cell.text.strip() for cell in head.all("th")]
    return heads, [row.all("th", "td") for row in body.all("tr")]


def values(cell: Node) -> list[float]:
    return [float(data.attributes["value"]) for data in cell.all("data")]


def rounds_to(text: str, value: float) -> bool:
    """Whether a text shows a number to its own last digit."""
    shown = text.replace(",", "").replace("−", "-").replace("%", "").strip()
    exact = 100 * value if "%" in text else value
    mantissa, _, power = shown.partition("e")
    unit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return abs(float(shown) - exact) <= 0.5 * unit * (1 + 1e-6)


# The numbers are those of summary.json


@pytest.fixture(scope="module", params=["iris.csv", "faithful.csv"])
def written(request, tmp_path_factory):
    """A folder that ``mixtura fit`` wrote into, and its summary."""
    folder = tmp_path_factory.mktemp("written")
    options = ["-k", "1:3", "--covariance", "full,tied", "--quiet", "--out", str(folder)]
    done = CliRunner().invoke(main, ["fit", str(ROOT / "examples" / request.param), *options])
    assert done.exit_code == 0
    return folder, json.loads((folder / "summary.json").read_text())


def test_candidates(written):
    folder, summary = written
    heads, rows = table_of(tree_of(folder / "report.html"), "candidates")
    cells = [summary["chosen"], *summary["rivals"]]
    assert len(rows) == len(cells) == 6
    places = {heads.index(name.upper()): name for name in ("bic", "icl", "aic")}
    places |= {heads.index("log-likelihood"): "loglik", heads.index("parameters"): "n_parameters"}
    places[heads.index("behind")] = "behind"
    for row, cell in zip(rows, cells, strict=True):
        assert row[0].text == f"{cell['n_components']} {cell['covariance']}"
        assert row[1].text == cell["mclust"]
        for j, name in places.items():
            assert values(row[j]) == [cell[name]]
            assert rounds_to(row[j].text.replace("+", ""), cell[name])
    verdicts = [row[heads.index("verdict")].text for row in rows]
    assert verdicts[0] == "chosen"
    for verdict, cell in zip(verdicts[1:], cells[1:], strict=True):
        assert (verdict == "as good") == (cell["eligible"] and cell["behind"] < 2)


def test_components(written):
    folder, summary = written
    heads, rows = table_of(tree_of(folder / "report.html"), "components")
    assert heads == ["component", "weight", "rows", *summary["columns"]]
    for row, part in zip(rows, summary["components"], strict=True):
        assert values(row[0]) == [part["component"]]
        assert values(row[1]) == [part["weight"]]
        assert values(row[2]) == [part["rows"]]
        assert rounds_to(row[1].text, part["weight"])
        for cell, name in zip(row[3:], summary["columns"], strict=True):
            assert values(cell) == [part["mean"][name], part["sd"][name]]
            assert all(map(rounds_to, cell.text.split(" ± "), values(cell)))


def test_the_other_numbers(written):
    folder, summary = written
    root, chosen = tree_of(folder / "report.html"), summary["chosen"]
    text = " ".join(root.text.replace("\xa0", " ").split())
    facts = {dt.text: dd.text for dl in root.all("dl") for dt, dd in zip(dl.all("dt"), dl.all("dd"), strict=True)}
    assert rounds_to(facts["Log-likelihood"], chosen["loglik"])
    assert int(facts["Passes"]) == chosen["passes"]
    assert facts["Starts"].startswith(f"{chosen['starts_agreeing']} of {chosen['starts']} ")
    assert f"{chosen['gap']:.1e}" in facts["Still to gain"]
    assert facts["Fingerprint of the rows"] == summary["fingerprint"]
    assert facts["Seed"] == str(summary["seed"])
    assert facts["Command"] == summary["command"]
    assert facts["Status"] == chosen["sentence"]
    assert f"The {summary['rows']} rows of {len(summary['columns'])} columns are described best by" in text
    everything = [float(data.attributes["value"]) for data in root.all("data")]
    assert chosen["error_rate"] in everything
    assert chosen["entropy"] in everything
    for sentence in summary["about_rows"]:
        assert sentence in text


def test_the_overlap_is_the_mixtures_own(written):
    folder, _ = written
    overlap = mixtura.load(folder / "model.mixtura").mixture.overlap()
    _, rows = table_of(tree_of(folder / "report.html"), "overlap")
    found = [[values(cell)[0] if values(cell) else 0.0 for cell in row[1:]] for row in rows]
    np.testing.assert_array_equal(found, overlap)


def test_markdown_tells_the_same(written):
    folder, summary = written
    text = (folder / "report.md").read_text(encoding="utf-8")
    for cell in (summary["chosen"], *summary["rivals"]):
        assert f"| {cell['n_components']} {cell['covariance']} | {cell['mclust']} |" in text
        assert f" {cell['bic']:,.2f} |" in text
    for part in summary["components"]:
        assert f"| {part['component']} | {100 * part['weight']:.1f} % | {part['rows']:,.1f} |" in text
    assert f"- Fingerprint of the rows: {summary['fingerprint']}" in text


# Structure


@pytest.mark.parametrize("kind", QUICK)
def test_headings_landmarks_and_names(page_of, kind):
    root = tree_of(page_of(kind))
    levels = [int(node.tag[1]) for node in root.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert [len(root.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1, 1, 1, 1]
    (page,) = root.all("html")
    assert page.attributes["lang"] == "en"
    names = [node.attributes["id"] for node in root.all() if "id" in node.attributes]
    assert len(names) == len(set(names))
    for node in root.all():
        for name in node.attributes.get("aria-labelledby", "").split():
            assert name in names
        assert node.attributes.get("href", "#found")[1:] in names
    drawings = [node for node in root.all("svg") if "aria-hidden" not in node.attributes]
    assert len(drawings) >= (2 if kind == "single" else 4)  # its climb is too short to draw
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        assert [len(drawing.all(tag)) >= 1 for tag in ("title", "desc")] == [True, True]
        assert all(node.text.strip() for node in drawing.all("title", "desc"))
        assert "nan" not in json.dumps([node.attributes for node in drawing.all("path", "rect", "text", "ellipse")])
    for figure in root.all("figure"):
        assert figure.all("figcaption")[0].text
    for table in root.all("table"):
        widths = {len(row.all("th", "td")) for row in table.all("tr")}
        assert len(widths) == 1
        assert all(cell.attributes.get("scope") in {"col", "row"} for cell in table.all("th"))


@pytest.mark.parametrize("kind", QUICK)
def test_the_page_needs_no_other(page_of, kind):
    text = page_of(kind).read_text(encoding="utf-8")
    root = Tree(text).root
    assert not root.all("link", "img", "iframe", "object", "embed", "image", "use", "form", "base")
    for node in root.all():
        assert not {"src", "srcset", "action", "xlink:href", "background"} & set(node.attributes)
        assert not any(name.startswith("on") for name in node.attributes)
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    data, script = root.all("script")
    assert data.attributes["type"] == "application/json"
    (policy,) = (m.attributes["content"] for m in root.all("meta") if "http-equiv" in m.attributes)
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_hostile_names_stay_text(page_of, result_of):
    root = tree_of(page_of("hostile"))
    assert len(root.all("script")) == 2
    shown = [name.text for name in root.all("bdi")]
    assert HOSTILE[0] in shown
    assert HOSTILE[1] in shown
    assert "שלום \\u202e\\x1b[31m\\x00" in shown
    text = root.text
    assert not set(text) & set("\x00\x1b\u202e")
    assert "49" not in " ".join(shown)
    plain_text = report.of(result_of("hostile"), result_of("hostile")._document, str).markdown()
    assert "<script>alert(1)</script>" not in plain_text.replace("\\<", "")
    assert r"\<script\>alert(1)\</script\>" in plain_text
    assert not set(plain_text) & set("\x00\x1b\u202e")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", r"a\|b"),
        ("**bold** _it_", r"\*\*bold\*\* \_it\_"),
        ("[a](b)", r"\[a\](b)"),
        ("<b>", r"\<b\>"),
        ("http://a.b www.a.b c@d.e", r"http\://a.b www\.a.b c\@d.e"),
        ("a: b, 3.5", "a: b, 3.5"),
        ("\x1b\n", r"\\x1b\\n"),
    ],
)
def test_markdown_is_escaped(text, safe):
    assert plain(text) == safe


def test_a_hostile_table_name_and_command(tmp_path):
    path = tmp_path / "<img src=x onerror=alert(3)>&amp;`x`.npy"
    np.save(path, blobs(60, 2, 2))
    result = mixtura.fit(path, 2, "full", random_state=0)
    result.report(tmp_path / "report.html")
    root = tree_of(tmp_path / "report.html")
    assert not root.all("img")
    assert root.all("h1")[0].text == "<img src=x onerror=alert(3)>&amp;`x`.npy"
    assert any(f"mixtura score model.mixtura '{path}'" in code.text for code in root.all("code"))


@pytest.mark.parametrize("kind", ["stopped", "faithful"])
def test_what_to_mind_comes_with_a_remedy(page_of, kind):
    root = tree_of(page_of(kind))
    points = [item.text for ul in root.all("ul") if ul.attributes.get("class") == "mind" for item in ul.all("li")]
    if kind == "stopped":
        assert "has not converged" in points[0]
        assert "mixtura.fit(" in points[0]
        assert "max_iter=10" in points[0]
        assert "The fit has not converged: there is more to gain." in root.text
    else:
        assert any("Components overlap" in point for point in points)


def test_nothing_to_mind_is_said(page_of):
    assert "Nothing: the fit has arrived" in tree_of(page_of("single")).text


# The file


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_same_result_gives_the_same_bytes(tmp_path, n_threads):
    made = []
    for i in range(2):
        result = mixtura.fit(blobs(2500, 3, 2), [1, 2], "full", random_state=0, n_threads=n_threads if i else 1)
        result.report(tmp_path / f"{i}.html")
        made.append((tmp_path / f"{i}.html").read_bytes())
    assert made[0] == made[1]


def test_a_file_is_kept_unless_it_may_be_replaced(tmp_path, result_of):
    path = tmp_path / "a.md"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        result_of("single").report(path)
    assert path.read_text() == "mine"
    result_of("single").report(path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("# A Gaussian mixture\n")
    with pytest.raises(OSError, match="No such file"):
        result_of("single").report(tmp_path / "none" / "a.html")
    assert [p.name for p in tmp_path.iterdir()] == ["a.md"]


def test_it_tells_how_far_it_is(tmp_path, result_of):
    seen = []
    result_of("single").report(tmp_path / "a.html", progress=seen.append)
    assert [(p.stage, p.climbs - p.climbing) for p in seen] == [("report", i) for i in range(1, 6)]
    assert {p.climbs for p in seen} == {5}


def test_components_as_csv(result_of):
    result = result_of("noisy")
    table = pa.csv.read_csv(pa.BufferReader(report.components_csv(result._document)))
    assert table.column("component").to_pylist() == ["0", "1", "noise"]
    parts = result.summary()["components"]
    for name in result.columns:
        assert table.column(f"mean {name}").to_pylist() == [*(p["mean"][name] for p in parts), None]
        assert table.column(f"sd {name}").to_pylist() == [*(p["sd"][name] for p in parts), None]
    assert sum(table.column("weight").to_pylist()) == pytest.approx(1)


def test_the_call_can_be_made_again(result_of, page_of):
    result = result_of("iris")
    facts = tree_of(page_of("iris"))
    command = next(dd.text for dl in facts.all("dl") for dt, dd in zip(dl.all("dt"), dl.all("dd"), strict=True)
                   if dt.text == "Command")  # fmt: skip
    again = eval(command, {"mixtura": mixtura})
    assert again.model == result.model
    assert again.fingerprint == result.fingerprint
    assert "n_init=…" not in command


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((5, 2)),
        np.arange(3.0)[:, None],
        1e8 + blobs(60, 2, 2),
        1e-9 * blobs(60, 3, 2),
        1e20 * blobs(60, 2, 1),
        np.column_stack([blobs(60, 2, 2), np.full(60, 7.0)]),
        np.array([[0.0, 0.0], [1.0, 1.0]]),
    ],
    ids=["constant", "three rows", "far", "tiny", "huge", "one constant", "two rows"],
)
def test_odd_tables_have_a_report(tmp_path, rows):
    result = mixtura.fit(rows, [1, 2], ["full", "spherical"], random_state=0)
    result.report(tmp_path / "report.html")
    root = tree_of(tmp_path / "report.html")
    assert len(root.all("figure")) >= 3
    for node in root.all():
        for name in ("d", "x", "y", "cx", "cy", "rx", "ry", "width", "height", "points"):
            assert not re.search(r"nan|inf", node.attributes.get(name, ""))


def test_weights_that_leave_one_row(tmp_path):
    weights = np.zeros(50)
    weights[7] = 2.5
    result = mixtura.fit(blobs(50, 2, 2), 1, "spherical", sample_weight=weights, random_state=0)
    result.report(tmp_path / "report.html")
    assert "sum to 2.5" in tree_of(tmp_path / "report.html").text


def test_all_that_the_script_draws_from(result_of):
    """What it unpacks, as it does, is what the library says."""
    result = result_of("iris")
    data = page_module._interactive(report.pictures.gather(result))
    names, n = data["names"], len(base64.b64decode(data["labels"])) // 2
    assert names == [*result.columns, "direction 1", "direction 2"]
    shares = np.frombuffer(base64.b64decode(data["rows"]), "<u2").reshape(len(names), n).T / 65535
    rows = np.array(data["low"]) + shares * (np.array(data["high"]) - np.array(data["low"]))
    labels = np.frombuffer(base64.b64decode(data["labels"]), "<i2")
    np.testing.assert_array_equal(labels, result.model.predict(np.unique(result.survey.source.rows, axis=0)))
    np.testing.assert_allclose(rows[:, :4], np.unique(result.survey.source.rows, axis=0), atol=1e-4)
    packed = np.frombuffer(base64.b64decode(data["covariances"]), "<f4").reshape(len(data["weights"]), -1)
    width = len(names)
    for k, triangle in enumerate(packed):
        for i in range(4):
            for j in range(i + 1):
                entry = triangle[i * (i + 1) // 2 + j] * data["unit"][i] * data["unit"][j]
                assert math.isclose(entry, result.model.covariances[k, i, j], rel_tol=1e-5, abs_tol=1e-9)
    assert packed.shape[1] == width * (width + 1) // 2


@pytest.mark.slow
def test_a_million_rows_are_a_page_below_three_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1_000_000, 4)) + 6 * rng.integers(0, 3, 1_000_000)[:, None]
    result = mixtura.fit(rows, 3, "full", n_init=1, random_state=0)
    result.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert (
        "Each hexagon is shaded by how many of the 1,000,000 rows lie in it" in tree_of(tmp_path / "report.html").text
    )


def test_a_hundred_components_are_a_page_of_its_size(tmp_path):
    rng = np.random.default_rng(0)
    model = mixtura.Mixture(np.full(100, 0.01), rng.normal(0, 20, (100, 5)), np.stack([np.eye(5)] * 100))
    result = mixtura.fit(model.sample(3000, 1), 100, "eii", n_init=1, max_iter=1, init_params="random", random_state=0)
    result.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(QUICK)))
def test_large_reports_are_in_order_too(page_of, kind):
    test_headings_landmarks_and_names(page_of, kind)
    test_the_page_needs_no_other(page_of, kind)
    assert page_of(kind).stat().st_size < 3_000_000
