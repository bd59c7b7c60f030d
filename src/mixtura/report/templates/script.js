"use strict";
(() => {
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // Tables are sorted by a button in each head.
  const key = (row, j) => {
    const cell = row.cells[j], data = cell.querySelector("data");
    return data ? Number(data.value) : cell.textContent.trim() === "" ? null : cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const sort = (table, j) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const falling = heads[j].getAttribute("aria-sort") === "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[j].setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...body.rows], fixed = rows.filter((row) => row.classList.contains("fixed"));
    const moved = rows.filter((row) => !row.classList.contains("fixed")).map((row) => [key(row, j), row]);
    moved.sort((one, other) => {
      const order = compare(one[0], other[0]);
      return falling && one[0] !== null && other[0] !== null ? -order : order;
    });
    body.append(...fixed, ...moved.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, j) => {
      const name = head.querySelector(".name");
      const button = make("button", { type: "button", title: `Sort by ${name.title || name.textContent}` });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, j));
      head.append(button);
    });
  }

  // Commands are copied by a button.
  for (const block of document.querySelectorAll(".command")) {
    const text = block.querySelector("code").textContent;
    const button = make("button", { type: "button" }, "Copy");
    const say = (word) => {
      button.textContent = word;
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    const select = () => {
      getSelection().selectAllChildren(block.querySelector("code"));
      say("Selected");
    };
    button.addEventListener("click", () => {
      if (!navigator.clipboard) return select();
      navigator.clipboard.writeText(text).then(() => say("Copied"), select);
    });
    block.append(button);
  }

  // The rows and components in any two columns.
  const data = JSON.parse(document.getElementById("pair-data").textContent);
  if (!data) return;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const rows = new Uint16Array(bytes(data.rows)), labels = new Int16Array(bytes(data.labels));
  const unsure = new Uint16Array(bytes(data.uncertainty)), factors = new Float32Array(bytes(data.covariances));
  const count = labels.length, width = data.names.length, components = data.weights.length;
  const value = (i, j) => data.low[j] + (rows[j * count + i] / 65535) * (data.high[j] - data.low[j]);
  const covariance = (k, i, j) => {
    const [a, b] = i < j ? [j, i] : [i, j];
    return factors[(k * width * (width + 1)) / 2 + (a * (a + 1)) / 2 + b] * data.unit[i] * data.unit[j];
  };
  const places = (span) => Math.min(12, Math.max(0, 3 - Math.floor(Math.log10(span))));
  const written = (number, j) => {
    const span = data.high[j] - data.low[j];
    const size = Math.max(Math.abs(data.low[j]), Math.abs(data.high[j]));
    if (size >= 1e7 && size / span < 1e6 || size < 1e-4) return number.toExponential(4).replaceAll("-", "−");
    return number.toLocaleString("en", { maximumFractionDigits: places(span) }).replace("-", "−");
  };
  const percent = (share) => (share > 0 && share < 1e-4 ? "<0.01 %" : `${Number((100 * share).toPrecision(3))} %`);
  const colour = (k) => (k < 0 ? "noise" : `c${k % data.colours}`);

  const view = document.getElementById("pair-view"), figure = view.querySelector("figure");
  const svg = figure.querySelector("svg.drawing"), caption = figure.querySelector("figcaption");
  const legend = figure.querySelector(".legend");
  const hidden = new Set(), state = { x: data.pair[0], y: data.pair[1], rows: true, ellipses: true, at: -1, live: false };

  const chooser = (name, axis) => {
    const box = make("select", { id: `pair-${axis}` });
    data.names.forEach((text, j) => box.append(new Option(text, j, j === state[axis], j === state[axis])));
    box.addEventListener("change", () => { state[axis] = Number(box.value); go(); });
    return make("label", {}, `${name} `, box);
  };
  const check = (name, on, act, mark = "") => {
    const box = make("input", { type: "checkbox" });
    box.checked = on;
    box.addEventListener("change", () => { act(box.checked); go(); });
    const label = make("label", {}, box);
    if (mark) label.insertAdjacentHTML("beforeend", mark);
    label.append(name);
    return label;
  };
  const swatch = (k) => `<svg class="drawing swatch" viewBox="0 0 18 12" aria-hidden="true"><path class="shape ${colour(k)}" d="${marker(k, 9, 6, 4)}"/></svg>`;
  const tools = make("div", { class: "tools" });
  if (width > 2) tools.append(chooser("Across", "x"), chooser("Up", "y"));
  tools.append(check("rows", true, (on) => { state.rows = on; }), check("ellipses", true, (on) => { state.ellipses = on; }));
  const parts = [...Array(components).keys(), ...(data.noise ? [-1] : [])];
  if (parts.length > 1 && parts.length <= 20) {
    const set = make("fieldset", {}, make("legend", {}, "Components"));
    for (const k of parts) {
      const name = k < 0 ? "noise" : `${k}`;
      set.append(check(name, true, (on) => { on ? hidden.delete(k) : hidden.add(k); }, swatch(k)));
    }
    tools.append(set);
  } else if (parts.length > 20) {
    const box = make("select", { id: "pair-only" }, new Option("all", "all"));
    for (const k of parts) box.append(new Option(k < 0 ? "noise" : `component ${k}`, k));
    box.addEventListener("change", () => {
      hidden.clear();
      if (box.value !== "all") parts.filter((k) => k !== Number(box.value)).forEach((k) => hidden.add(k));
      go();
    });
    tools.append(make("label", {}, "Show ", box));
  }
  const readout = make("p", { class: "readout soft", role: "status" });
  const hint = "Point at a row, or focus the picture and use the arrow keys to go from component to component.";
  readout.textContent = hint;
  view.prepend(tools);
  figure.after(readout);

  function marker(k, x, y, r) {
    const f = (number) => number.toFixed(1);
    if (k < 0) return `M${f(x - r)} ${f(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`;
    const at = `M${f(x)} ${f(y)}`;
    return at + [
      `m${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
      `m${-0.88 * r} ${-0.88 * r}h${1.76 * r}v${1.76 * r}h${-1.76 * r}z`,
      `m0 ${-1.2 * r}l${1.1 * r} ${1.9 * r}h${-2.2 * r}z`,
      `m0 ${-1.3 * r}l${1.2 * r} ${1.3 * r}l${-1.2 * r} ${1.3 * r}l${-1.2 * r} ${-1.3 * r}z`,
      `m0 ${1.2 * r}l${1.1 * r} ${-1.9 * r}h${-2.2 * r}z`,
    ][(k % data.colours) % 5];
  }

  const step = (least) => {
    const power = 10 ** Math.floor(Math.log10(least));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9));
  };
  const ticks = (low, high, most) => {
    const width = step((high - low) / most), digits = Math.max(0, -Math.floor(Math.log10(width) + 1e-9));
    const out = [];
    const far = Math.max(Math.abs(low), Math.abs(high));
    for (let i = Math.ceil(low / width - 1e-9) + 0; i * width <= high * (1 + 1e-12) && out.length < 30; i += 1) {
      const number = i === 0 ? 0 : i * width;
      const text = digits > 5 || far >= 1e7 ? number.toExponential(Math.min(15, Math.max(0, Math.floor(Math.log10(far / width))))) : number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
      out.push([number, text.replaceAll("-", "−").replace("e+", "e")]);
    }
    return out;
  };

  let spots = [];
  const place = { x: Number, y: Number };
  const element = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // Half-axes of the ellipse that holds the share, as two columns of a matrix.
  const root = (k, share) => {
    const xx = covariance(k, state.x, state.x), xy = covariance(k, state.x, state.y), yy = covariance(k, state.y, state.y);
    const radius = Math.sqrt(-2 * Math.log(1 - share)), a = Math.sqrt(Math.max(xx, 0)), b = a > 0 ? xy / a : 0;
    return [radius * a, radius * b, radius * Math.sqrt(Math.max(yy - b * b, 0))];
  };
  const ring = (k, share) => {
    const [a, b, c] = root(k, share);
    let path = "";
    for (let i = 0; i < 90; i += 1) {
      const cos = Math.cos((i * Math.PI) / 45), sin = Math.sin((i * Math.PI) / 45);
      path += `${i ? "L" : "M"}${place.x(data.means[k][state.x] + a * cos).toFixed(1)} ${place.y(data.means[k][state.y] + b * cos + c * sin).toFixed(1)}`;
    }
    return `${path}z`;
  };

  function draw() {
    const w = Math.round(Math.min(880, Math.max(280, figure.clientWidth))), h = Math.round(w < 520 ? w * 0.95 : Math.min(540, w * 0.66));
    const range = (j) => {
      const room = 0.04 * (data.end[j] - data.start[j]);
      return [data.start[j] - room, data.end[j] + room];
    };
    const [x0, x1] = range(state.x), [y0, y1] = range(state.y);
    const up = ticks(y0, y1, Math.max(3, Math.round(h / 70)));
    const left = 32 + 7.6 * Math.max(...up.map(([, text]) => text.length)), right = w - 12, top = 10, bottom = h - 46;
    const longest = Math.max(...ticks(x0, x1, 5).map(([, text]) => text.length));
    const across = ticks(x0, x1, Math.max(2, Math.min(9, Math.floor((right - left) / (8 * longest + 24)))));
    place.x = (v) => left + ((v - x0) / (x1 - x0)) * (right - left);
    place.y = (v) => bottom - ((v - y0) / (y1 - y0)) * (bottom - top);
    const title = svg.querySelector("title"), about = svg.querySelector("desc");
    const [nx, ny] = [data.names[state.x], data.names[state.y]];
    title.textContent = `Rows and components in ${nx} and ${ny}`;
    const inner = components <= data.followed ? " and half" : "";
    caption.textContent = `${data.marks}, coloured by its most probable component. The ellipses hold 95 %${inner} of each component; its number stands at its mean.`;
    about.textContent = `${caption.textContent} ${hint}`;
    svg.replaceChildren(title, about);
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    svg.style.maxWidth = `${w}px`;
    svg.setAttribute("class", "drawing live");
    const clip = element("clipPath", { id: "pair-live" });
    clip.append(element("rect", { x: left, y: top, width: right - left, height: bottom - top }));
    svg.append(clip);
    for (const [v, text] of across) {
      svg.append(element("path", { class: "grid", d: `M${place.x(v).toFixed(1)} ${top}V${bottom}` }), element("text", { class: "tick", x: place.x(v).toFixed(1), y: bottom + 17 }, text));
    }
    for (const [v, text] of up) {
      svg.append(element("path", { class: "grid", d: `M${left} ${place.y(v).toFixed(1)}H${right}` }), element("text", { class: "tick y", x: left - 7, y: (place.y(v) + 4).toFixed(1) }, text));
    }
    const short = (text) => (text.length > 36 ? `${text.slice(0, 35)}…` : text);
    svg.append(
      element("text", { class: "axis", x: (left + right) / 2, y: h - 8 }, short(nx)),
      element("text", { class: "axis", transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)` }, short(ny)),
      element("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }),
    );
    const area = element("g", { "clip-path": "url(#pair-live)" });
    spots = [];
    if (state.rows) {
      const paths = new Map(), single = count <= data.markers, size = Number(Math.min(4, Math.max(2.2, 3.6 - 0.55 * Math.log10(count / 50))).toFixed(2));
      for (let i = 0; i < count; i += 1) {
        const k = labels[i];
        if (hidden.has(k)) continue;
        const x = place.x(value(i, state.x)), y = place.y(value(i, state.y));
        spots.push([x, y, i]);
        if (!paths.has(k)) paths.set(k, []);
        paths.get(k).push(single ? marker(k, x, y, size) : `M${x.toFixed(1)} ${y.toFixed(1)}h0`);
      }
      for (const [k, path] of paths) area.append(element("path", { class: `${single ? "shape" : "dots"} ${colour(k)}`, d: path.join("") }));
    }
    if (state.ellipses) {
      const seen = parts.filter((k) => k >= 0 && !hidden.has(k) && data.weights[k] > 0);
      for (const k of seen) {
        const outer = ring(k, 0.95);
        area.append(element("path", { class: "halo", d: outer }), element("path", { class: `ring ${colour(k)}${k === state.at ? " at" : ""}`, d: outer }));
        if (components <= data.followed) area.append(element("path", { class: `ring inner ${colour(k)}`, d: ring(k, 0.5) }));
      }
      for (const k of seen) {
        area.append(element("text", { class: `label${components <= data.followed ? "" : " small"}`, x: place.x(data.means[k][state.x]).toFixed(1), y: place.y(data.means[k][state.y]).toFixed(1) }, `${k}`));
      }
    }
    area.append(element("circle", { class: "spot", r: 7, visibility: "hidden" }));
    svg.append(area);
  }

  const whole = (k) => (k < 0 ? "noise" : `component ${k}`);
  const tell = (i) => {
    const columns = [...new Set([state.x, state.y])].map((j) => `${data.names[j]} ${written(value(i, j), j)}`);
    readout.textContent = `Row with ${columns.join(", ")}: ${whole(labels[i])}, wrong with probability ${percent((unsure[i] / 65535) * data.most)}.`;
  };
  const introduce = (k) => {
    const columns = [...new Set([state.x, state.y])].map((j) => `${data.names[j]} ${written(data.means[k][j], j)} ± ${written(Math.sqrt(covariance(k, j, j)), j)}`);
    readout.textContent = `Component ${k}, ${percent(data.weights[k])} of the rows: ${columns.join(", ")}.`;
  };
  const point = (event) => {
    if (!state.live) return;
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = 20 * 20, found = null;
    for (const spot of spots) {
      const away = (spot[0] - x) ** 2 + (spot[1] - y) ** 2;
      if (away < best) [best, found] = [away, spot];
    }
    const circle = svg.querySelector(".spot");
    circle.setAttribute("visibility", found ? "visible" : "hidden");
    if (found) {
      circle.setAttribute("cx", found[0]);
      circle.setAttribute("cy", found[1]);
      tell(found[2]);
    }
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", () => { const circle = svg.querySelector(".spot"); if (circle) circle.setAttribute("visibility", "hidden"); });
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "application");
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const seen = parts.filter((k) => k >= 0 && !hidden.has(k) && data.weights[k] > 0);
    if (event.key === "Escape") {
      state.at = -1;
      readout.textContent = hint;
    } else if (move && seen.length) {
      event.preventDefault();
      const now = seen.indexOf(state.at);
      state.at = seen[(now < 0 ? (move > 0 ? 0 : seen.length - 1) : now + move + seen.length) % seen.length];
      introduce(state.at);
    } else {
      return;
    }
    go();
  });

  function go() {
    state.live = true;
    if (legend) legend.hidden = parts.length <= 20;
    draw();
  }
  if (!data.counted) go();
  let before = figure.clientWidth;
  new ResizeObserver(() => {
    if (state.live && figure.clientWidth !== before) draw();
    before = figure.clientWidth;
  }).observe(figure);
})();
