(() => {
  "use strict";
  const CELLS = 8; // E_f's low-pass filter keeps 8 x 8 values of a face
  const PICKS = ["worst", "median", "best"];
  const by = (id) => document.getElementById(`gallery-${id}`);
  const gallery = document.getElementById("gallery");
  const data = JSON.parse(by("data").textContent);
  const drawn = new Map(); // pixels of the face that is shown, by the number of the picture
  let set, shown, turn = 0;

  function element(name, text, kind) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function fill(select, texts, values = texts) {
    select.replaceChildren(...texts.map((text, i) => {
      const option = element("option", text);
      option.value = values[i];
      return option;
    }));
  }

  // Pictures and what is computed from them

  function pixels(number) {
    if (!drawn.has(number)) drawn.set(number, decoded(data.pictures[number]));
    return drawn.get(number);
  }

  async function decoded(uri) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    const canvas = element("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, 0, 0);
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }

  function mapped(image, value) {
    const made = new ImageData(image.width, image.height);
    for (let i = 0; i < made.data.length; i++) made.data[i] = i % 4 === 3 ? 255 : value(i);
    return made;
  }

  // The matrix that resizes one axis by `scale` with a triangle, stretched on the way down, mirrored at the edges.
  function resizing(side, size, scale) {
    const stretch = Math.min(scale, 1);
    const reach = Math.ceil(2 / stretch) + 1;
    return Array.from({ length: size }, (_, row) => {
      const centre = (row + 0.5) / scale - 0.5;
      const weights = new Float64Array(side);
      let sum = 0;
      for (let at = Math.floor(centre) - reach; at <= Math.floor(centre) + reach; at++) {
        const weight = Math.max(0, 1 - Math.abs((at - centre) * stretch));
        const round = ((at % (2 * side)) + 2 * side) % (2 * side);
        weights[Math.min(round, 2 * side - 1 - round)] += weight;
        sum += weight;
      }
      return weights.map((weight) => weight / sum);
    });
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  // Each row shrunk and enlarged again, and written as a column: twice is the filter, the right way round.
  function turnedLow(plane, down, up) {
    const side = up.length;
    const made = new Float64Array(plane.length);
    for (let y = 0; y < side; y++) {
      const row = plane.subarray(y * side, (y + 1) * side);
      const few = Float64Array.from(down, (weights) => dot(weights, row));
      for (let x = 0; x < side; x++) made[x * side + y] = dot(up[x], few);
    }
    return made;
  }

  function highFrequencies(image) {
    const side = image.width;
    const factor = Math.max(1, Math.floor(side / CELLS));
    const small = Math.ceil(side / factor);
    const down = resizing(side, small, 1 / factor);
    const up = resizing(small, side, factor);
    return [0, 1, 2].map((channel) => {
      const plane = new Float64Array(side * side);
      for (let i = 0; i < plane.length; i++) plane[i] = image.data[4 * i + channel];
      const low = turnedLow(turnedLow(plane, down, up), down, up);
      return plane.map((value, i) => value - low[i]);
    });
  }

  async function view(source) {
    const here = source.pictures[shown];
    if (typeof here === "string") return here;
    const gain = Number(by("gain").value);
    const image = await pixels(here);
    if (by("view").value === "high") {
      const planes = highFrequencies(image);
      return mapped(image, (i) => 128 + gain * planes[i % 4][i >> 2]);
    }
    if (by("view").value === "error" && source.translates) {
      const real = set.sources[set.sources.length - 1].pictures[shown];
      if (typeof real === "string") return real;
      const other = await pixels(real);
      return mapped(image, (i) => gain * Math.abs(image.data[i] - other.data[i]));
    }
    return image;
  }

  function placed(source, content, zoom) {
    const width = `${set.side * zoom}px`;
    if (typeof content === "string") {
      const none = element("div", undefined, "gallery-none");
      none.append(element("span", content));
      none.style.width = width;
      return none;
    }
    const canvas = element("canvas", undefined, zoom >= 1 ? "gallery-enlarged" : "");
    canvas.width = content.width;
    canvas.height = content.height;
    canvas.style.width = width;
    canvas.getContext("2d").putImageData(content, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${source.title}: ${by("face").selectedOptions[0].textContent}`);
    return canvas;
  }

  const plain = (metric) => metric.replace(/ [↑↓]$/, "");

  function scored(source) {
    const numbers = source.numbers[shown];
    if (!source.translates) return [];
    return numbers ? set.metrics.map((metric, i) => `${plain(metric)} ${numbers[i] || "–"}`) : ["no scores"];
  }

  // What is on the page

  async function draw() {
    const mine = ++turn;
    gallery.setAttribute("aria-busy", "true");
    const contents = await Promise.all(set.sources.map(view));
    if (mine !== turn) return; // another face was chosen meanwhile
    const zoom = Number(by("zoom").value);
    by("wall").replaceChildren(...set.sources.map((source, i) => {
      const figure = element("figure");
      const caption = element("figcaption", undefined, "gallery-numbers");
      caption.append(element("span", source.title, "gallery-title"));
      scored(source).forEach((text) => caption.append(element("span", text, "gallery-number")));
      figure.style.width = `${set.side * zoom}px`;
      figure.append(placed(source, contents[i], zoom), caption);
      return figure;
    }));
    const two = [by("left"), by("right")].map((select) => Number(select.value));
    by("pair").replaceChildren(...two.map((i) => placed(set.sources[i], contents[i], 2 * zoom)));
    by("at").style.width = `${set.side * 2 * zoom}px`;
    by("pair-said").replaceChildren(...two.map((i) =>
      element("span", [set.sources[i].title, ...scored(set.sources[i])].join(" · "), "gallery-number")));
    legend();
    gallery.setAttribute("aria-busy", "false");
  }

  function legend() {
    const what = by("view").value;
    const high = what === "high";
    const top = Math.round((high ? 128 : 255) / Number(by("gain").value));
    const ends = [high ? `−${top}` : "0", `${high ? "+" : ""}${top}${top < 255 ? " and more" : ""} levels of 255`];
    by("legend").querySelector(".gallery-low").textContent = ends[0];
    by("legend").querySelector(".gallery-high").textContent = ends[1];
    by("legend").setAttribute("aria-label", `black is ${ends[0]}, white is ${ends[1]}`);
    gallery.querySelectorAll(".gallery-if-drawn").forEach((part) => { part.hidden = what === "picture"; });
    by("loss").hidden = what === "picture" || !set.lossy;
  }

  function choose(face) {
    drawn.clear();
    shown = face;
    by("face").value = String(face);
    return draw();
  }

  const named = ([fold, subject, expression]) => `${subject}, ${expression}, fold ${fold}`;
  const filters = ["fold", "subject", "expression"];

  function narrow(changed) {
    const matches = () => set.faces.flatMap((face, i) =>
      filters.every((name, at) => !by(name).value || face[at] === by(name).value.slice(1)) ? [i] : []);
    let found = matches();
    if (!found.length) {
      filters.filter((name) => name !== changed).forEach((name) => { by(name).value = ""; });
      found = matches();
    }
    const names = found.map((i) => named(set.faces[i]));
    const alike = (name) => names.indexOf(name) !== names.lastIndexOf(name);
    fill(by("face"), found.map((i, at) => alike(names[at]) ? `${names[at]}: ${set.faces[i][3]}` : names[at]),
      found.map(String));
    return found;
  }

  function widen() {
    filters.forEach((name) => { by(name).value = ""; });
    narrow();
  }

  function jump(which) {
    const source = set.sources[Number(by("method").value)];
    const at = Number(by("metric").value);
    const [, , , count] = source.picks[at];
    const without = set.tested > count ? ` (${set.tested - count} have no score)` : "";
    widen();
    choose(source.picks[at][which]);
    by("said").textContent =
      `${by(PICKS[which]).textContent} of ${count} test faces${without} by ${plain(set.metrics[at])}, ${source.title}: ` +
      source.numbers[shown][at];
  }

  function jumps() {
    const picks = set.sources[Number(by("method").value)]?.picks[Number(by("metric").value)];
    PICKS.forEach((name, which) => { by(name).disabled = !picks || picks[which] === null; });
    by("said").textContent = picks ? "" : "no scores";
  }

  function step(way) {
    const options = Array.from(by("face").options, (option) => Number(option.value));
    by("said").textContent = "";
    choose(options[(options.indexOf(shown) + way + options.length) % options.length]);
  }

  function open(which) {
    set = data.sets[which];
    const titles = set.sources.map((source) => source.title);
    const all = set.sources.map((_, i) => String(i));
    const methods = all.filter((i) => set.sources[i].translates);
    filters.forEach((name, at) => {
      const values = [...new Set(set.faces.map((face) => face[at]))];
      fill(by(name), ["all", ...values], ["", ...values.map((value) => `=${value}`)]);
    });
    fill(by("metric"), set.metrics, set.metrics.map((_, i) => String(i)));
    fill(by("method"), methods.map((i) => titles[i]), methods);
    fill(by("left"), titles, all);
    fill(by("right"), titles, all);
    by("left").value = methods[methods.length - 1] ?? all[0];
    by("right").value = all[all.length - 1];
    const zooms = [0.5, 1, 2, 3, 4, 6, 8, 12, 16].filter((zoom) => set.side * zoom >= 64 && set.side * zoom <= 640);
    const steps = zooms.length ? zooms : [1];
    fill(by("zoom"), steps.map((zoom) => `${zoom} ×`), steps.map(String));
    by("zoom").value = String(steps.find((zoom) => set.side * zoom >= 128) ?? steps[steps.length - 1]);
    by("loss").textContent = set.lossy;
    jumps();
    widen();
    choose(0);
  }

  fill(by("set"), data.sets.map((each) => each.title), data.sets.map((_, i) => String(i)));
  gallery.querySelector(".gallery-if-several").hidden = data.sets.length < 2;
  by("set").addEventListener("change", () => open(Number(by("set").value)));
  filters.forEach((name) => by(name).addEventListener("change", () => {
    by("said").textContent = "";
    choose(narrow(name)[0]);
  }));
  by("face").addEventListener("change", () => {
    by("said").textContent = "";
    choose(Number(by("face").value));
  });
  by("before").addEventListener("click", () => step(-1));
  by("after").addEventListener("click", () => step(1));
  ["metric", "method"].forEach((name) => by(name).addEventListener("change", jumps));
  PICKS.forEach((name, which) => by(name).addEventListener("click", () => jump(which)));
  ["view", "gain", "zoom", "left", "right"].forEach((name) => by(name).addEventListener("change", draw));
  by("at").addEventListener("input", () => by("pair").style.setProperty("--gallery-at", `${by("at").value}%`));
  open(0);
})();
