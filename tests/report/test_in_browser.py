"""The report in a real browser: drawn, quiet, and usable with a pointer, a keyboard, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.report import charts, pictures

#: Kinds that are opened every day; the others take longer.
DAILY = ("iris", "acidity")
REST = ("faithful", "hostile", "single", "stopped", "noisy", "many", "counted")

#: For each drawing: how large it is, how many marks lie in it, and whether they have a size.
DRAWINGS = """() => [...document.querySelectorAll("main svg.drawing:not(.swatch)")].map((svg) => {
  const box = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll("path:not(.grid), ellipse, rect:not(.frame), circle")].filter((mark) => {
    const own = mark.getBBox();
    return !mark.closest("clipPath") && Number.isFinite(own.x) && (own.width > 0 || own.height > 0);
  });
  return {name: svg.id, width: box.width, height: box.height, marks: marks.length, right: box.right};
})"""
#: Texts whose contrast with what lies behind them is too low for WCAG's level AA.
FAINT = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return {rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1};
  };
  const over = (front, back) => front.rgb.map((c, i) => c * front.alpha + back[i] * (1 - front.alpha));
  const behind = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.push(parse(getComputedStyle(e).backgroundColor));
    return chain.reverse().reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const out = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(element)) continue;
    if (element.closest("script, style, title, desc, option") || !element.getClientRects().length) continue;
    seen.add(element);
    const style = getComputedStyle(element), drawn = element.namespaceURI.endsWith("svg");
    const back = behind(element), front = over(parse(drawn ? style.fill : style.color), back);
    const [high, low] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) out.push([element.tagName, element.getAttribute("class"), element.textContent, ratio]);
  }
  return [seen.size, out];
}"""


def check(page, width, fewest=4):
    """Every figure is drawn, and nothing sticks out of the page."""
    drawings = page.evaluate(DRAWINGS)
    assert len(drawings) >= fewest
    for drawing in drawings:
        assert drawing["width"] > 200
        assert drawing["height"] > 60
        assert drawing["marks"] >= 1, drawing["name"]
        assert drawing["right"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("kind", DAILY)
def test_every_figure_is_drawn(opened, kind):
    page = opened(kind)
    check(page, 1280)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(50)
    check(page, 390)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REST)
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_figure_of_the_others_is_drawn(opened, kind, width):
    check(opened(kind, width), width, fewest=2 if kind == "single" else 4)  # one component does not climb


@pytest.mark.parametrize("kind", ["iris", pytest.param("acidity", marks=pytest.mark.slow)])
def test_without_scripts_all_is_there(opened, kind):
    page = opened(kind, scripts=False)
    assert page.locator(".tools").count() == 0
    assert page.locator("button").count() == 0
    assert page.locator("main section").count() >= 9
    for section in page.locator("main section").all():
        assert section.is_visible()
    for figure in page.locator("figure").all():
        box = figure.locator("svg.drawing:not(.swatch)").bounding_box()
        assert box["width"] > 200
        assert box["height"] > 60
        assert figure.locator("figcaption").is_visible()
    assert page.locator("#pair .ring, #pair .line").count() >= 2
    assert page.locator("#candidates tbody tr").count() >= 3


def column(page, name, j):
    cells = page.locator(f"#{name} tbody tr td:nth-child({j + 1}), #{name} tbody tr th:nth-child({j + 1})")
    return [float(value) for value in cells.evaluate_all("cells => cells.map(c => c.querySelector('data').value)")]


def test_tables_are_sorted_by_pointer_and_keyboard(opened):
    page = opened("faithful")
    heads = page.locator("#candidates thead th").all_inner_texts()
    j = next(i for i, head in enumerate(heads) if head.startswith("ICL"))
    button = page.locator("#candidates thead th").nth(j).locator("button")
    assert column(page, "candidates", j) != sorted(column(page, "candidates", j))
    button.click()
    assert column(page, "candidates", j) == sorted(column(page, "candidates", j))
    assert page.locator("#candidates thead th").nth(j).get_attribute("aria-sort") == "ascending"
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, "candidates", j) == sorted(column(page, "candidates", j), reverse=True)
    assert page.locator("#candidates thead th[aria-sort]").count() == 1
    assert page.locator("#candidates thead th").nth(j).get_attribute("aria-sort") == "descending"
    page.locator("#candidates thead th").nth(1).locator("button").click()  # texts
    names = page.locator("#candidates tbody tr td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)
    assert page.locator("#candidates thead th[aria-sort]").count() == 1


def tool(page, name):
    return page.locator(".tools").get_by_label(name, exact=True)


def axes(page):
    return page.locator("#pair .axis").all_text_contents()


def test_columns_are_chosen(opened):
    page = opened("iris")
    before, path = axes(page), page.locator("#pair .ring").first.get_attribute("d")
    assert before == ["Petal.Length", "Petal.Width"]
    page.locator("#pair-x").select_option("Sepal.Width")
    assert axes(page) == ["Sepal.Width", "Petal.Width"]
    assert page.locator("#pair .ring").first.get_attribute("d") != path
    assert "Sepal.Width and Petal.Width" in page.locator("#pair title").text_content()
    page.locator("#pair-y").focus()
    page.keyboard.type("direction 1")
    page.keyboard.press("Enter")
    assert axes(page) == ["Sepal.Width", "direction 1"]
    check(page, 1280)


@pytest.mark.slow
def test_a_column_may_stand_against_itself(opened):
    page = opened("iris")
    page.locator("#pair-x").select_option("Petal.Width")
    assert axes(page) == ["Petal.Width", "Petal.Width"]
    check(page, 1280)


def test_components_rows_and_ellipses_are_chosen(opened):
    page = opened("iris")
    assert page.locator("#pair path.shape.c0").count() == 1
    boxes = page.locator(".tools fieldset input")
    boxes.first.focus()
    page.keyboard.press("Space")
    assert page.locator("#pair .c0").count() == 0
    assert page.locator("#pair path.shape.c1").count() == 1
    tool(page, "rows").uncheck()
    assert page.locator("#pair path.shape").count() == 0
    tool(page, "ellipses").uncheck()
    assert page.locator("#pair .ring").count() == 0
    for name in ("rows", "ellipses"):
        tool(page, name).check()
    boxes.first.check()
    assert page.locator("#pair path.shape.c0").count() == 1


#: Where the ticks of the pair view are, and the outlines of its outer ellipses, in pixels.
OUTLINES = """() => {
  const svg = document.querySelector("#pair"), number = (text) => Number(text.replaceAll(",", "").replace("−", "-"));
  const place = (tick, side) => [number(tick.textContent), Number(tick.getAttribute(side))];
  const ticks = (selector, side) => [...svg.querySelectorAll(selector)].map((tick) => place(tick, side));
  const rings = [...svg.querySelectorAll(".ring:not(.inner)")].map((ring) => {
    const length = ring.getTotalLength(), turn = ring.getCTM(), base = svg.getCTM().inverse();
    return [...Array(24).keys()].map((i) => {
      const p = ring.getPointAtLength((i * length) / 24).matrixTransform(base.multiply(turn));
      return [p.x, p.y];
    });
  });
  return {x: ticks(".tick:not(.y)", "x"), y: ticks(".tick.y", "y"), rings};
}"""


@pytest.mark.parametrize("live", [False, True])
def test_the_ellipses_hold_what_they_say(opened, result_of, live):
    """By the ticks beside them, their points are as far from the means as they should be."""
    page = opened("iris")
    if not live:  # what is there without scripts
        page.locator("#pair").evaluate("(svg, text) => { svg.outerHTML = text; }", static_drawing(result_of("iris")))
    found = page.evaluate(OUTLINES)
    model = result_of("iris").model
    maps = [np.polyfit(*np.transpose(found[axis])[::-1], 1) for axis in ("x", "y")]
    maps[1] = np.polyfit(np.array(found["y"])[:, 1] - 4, np.array(found["y"])[:, 0], 1)  # the foot of the text
    assert len(found["rings"]) == 2
    for k, ring in enumerate(found["rings"]):
        points = np.column_stack([np.polyval(at, along) for at, along in zip(maps, np.transpose(ring), strict=True)])
        away = points - model.means[k, 2:]
        squared = np.einsum("nd,de,ne->n", away, np.linalg.inv(model.covariances[k, 2:, 2:]), away)
        np.testing.assert_allclose(squared, -2 * np.log(0.05), rtol=0.03)


def static_drawing(result):
    return str(charts.pair(pictures.gather(result)).drawing)


def test_rows_tell_of_themselves(opened, result_of):
    page = opened("iris")
    picture = page.locator("#pair")
    picture.scroll_into_view_if_needed()
    box = page.locator("#pair path.shape.c0").bounding_box()
    readout = page.locator(".readout")
    for dx in range(4, int(box["width"]), 6):
        page.mouse.move(box["x"] + dx, box["y"] + box["height"] / 2)
        if readout.inner_text().startswith("Row with"):
            break
    said = readout.inner_text()
    assert said.startswith("Row with Petal.Length 1.")
    assert "component 0, wrong with probability" in said
    assert page.locator("#pair .spot").get_attribute("visibility") == "visible"
    page.mouse.move(5, 5)
    assert page.locator("#pair .spot").get_attribute("visibility") == "hidden"
    picture.focus()
    page.keyboard.press("ArrowRight")
    mean = result_of("iris").model.means[0]
    assert readout.inner_text().startswith("Component 0, 33.3 % of the rows: Petal.Length")
    assert f"{mean[2]:.3f}"[:4] in readout.inner_text()
    page.keyboard.press("ArrowLeft")
    assert readout.inner_text().startswith("Component 1, 66.7 %")
    assert page.locator("#pair .ring.at").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#pair .ring.at").count() == 0


def test_the_keyboard_reaches_everything(opened):
    page = opened("iris")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#found"
    wanted = page.evaluate("[...document.querySelectorAll('a[href], button, select, input, [tabindex=\"0\"]')].length")
    page.evaluate("document.activeElement.blur(); window.reached = new Set()")
    for _ in range(wanted + 1):
        page.keyboard.press("Tab")
        page.evaluate("window.reached.add(document.activeElement)")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none" or page.evaluate("document.activeElement === document.body")
    assert page.evaluate("[...window.reached].filter((e) => e !== document.body).length") >= wanted - 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["iris", pytest.param("stopped", marks=pytest.mark.slow)])
def test_texts_can_be_read(opened, kind, scheme):
    texts, faint = opened(kind, scheme=scheme).evaluate(FAINT)
    assert texts > 100
    assert faint == []


@pytest.mark.slow
def test_light_and_dark_differ(opened):
    colours = {
        scheme: opened("acidity", scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 21, 26)"}


@pytest.mark.slow
def test_it_prints(opened):
    page = opened("iris", scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("nav", ".tools", ".command button", ".readout"):
        assert not page.locator(hidden).first.is_visible()
    for box in page.locator(".scroll").all():
        assert box.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    content = page.pdf(format="A4")
    assert content.startswith(b"%PDF")
    assert 3 <= content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") + content.count(b"/Type/Page\n") <= 20


@pytest.mark.slow
def test_commands_are_copied(opened):
    page = opened("iris")
    block = page.locator(".command").filter(has_text="mixtura sample")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block.get_by_role("button").click()
    page.wait_for_function("document.body.innerText.includes('Copied') || document.body.innerText.includes('Selected')")
    assert page.evaluate("navigator.clipboard.readText()") == "mixtura sample model.mixtura -n 1000"


def test_hostile_names_do_nothing(opened):
    page = opened("hostile")
    assert axes(page)[0] in {"<script>alert(1)</script>", "a\"b'c&d</script><img src=x onerror=alert(2)>"}
    page.locator("#pair-x").select_option(index=1)
    page.locator("#pair-y").select_option(index=3)
    page.locator("#pair").focus()
    page.keyboard.press("ArrowRight")
    assert "Component 0" in page.locator(".readout").inner_text()
    assert page.locator("img").count() == 0


@pytest.mark.slow
def test_hexagons_give_way_to_rows_that_can_be_asked(opened):
    page = opened("counted")
    assert page.locator("#pair path.hex").count() > 3
    assert "24,000 rows" in page.locator("#pair-view figcaption").inner_text()
    page.locator("#pair-x").select_option(index=2)
    assert page.locator("#pair path.hex").count() == 0
    assert page.locator("#pair path.dots").count() == 3
    assert "20,000 of 24,000 drawn" in page.locator("#pair-view figcaption").inner_text()


@pytest.mark.slow
def test_one_of_many_components_is_looked_at(opened):
    page = opened("many")
    labels = page.locator("#pair text.label").count()
    assert labels == 13
    for k in range(1, 13):
        page.locator(".tools fieldset input").nth(k).uncheck()
    assert page.locator("#pair text.label").all_text_contents() == ["0"]
