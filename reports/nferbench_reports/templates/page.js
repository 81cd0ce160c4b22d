// Sorts, picks and copies tables, and changes the colours. Without it the page shows everything, in the order of the files.
(() => {
  "use strict";

  const root = document.documentElement;
  root.classList.add("with-scripts");

  const remembered = {
    get: () => { try { return localStorage.getItem("nferbench-colours"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("nferbench-colours", value); } catch { /* a page from a disk may have none */ } },
  };
  if (["light", "dark"].includes(remembered.get())) root.dataset.colours = remembered.get();

  const colours = (button) => {
    const dark = () => root.dataset.colours ? root.dataset.colours === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const say = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.addEventListener("click", () => {
      root.dataset.colours = dark() ? "light" : "dark";
      remembered.set(root.dataset.colours);
      say();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
    say();
  };

  const navigation = (nav) => {
    const details = nav.querySelector("details");
    const narrow = matchMedia("(max-width: 60rem)");
    const fold = () => { details.open = !narrow.matches; };
    narrow.addEventListener("change", fold);
    nav.addEventListener("click", (event) => { if (event.target.closest("a")) fold(); });
    fold();
    const links = new Map([...nav.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
    const seen = new Set();
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) entry.isIntersecting ? seen.add(entry.target) : seen.delete(entry.target);
      const first = [...links.keys()].find((id) => seen.has(document.getElementById(id)));
      for (const [id, link] of links) link.toggleAttribute("aria-current", id === first);
    });
    for (const id of links.keys()) watch.observe(document.getElementById(id));
  };

  const textOf = (cell) => [...cell.childNodes].filter((node) => node.nodeName !== "SUP").map((node) => node.textContent).join("").trim();

  const valueOf = (text) => {
    const plain = text.replace(/\u202f/g, "").replace("−", "-").replace("∞", "Infinity");
    if (plain === "" || plain === "–") return NaN;
    return plain.startsWith("< ") ? Number(plain.slice(2)) / 2 : Number(plain);
  };

  const compared = (number, descending) => (a, b) => {
    const missing = (text) => text === "" || text === "–";
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    const [x, y] = [valueOf(a), valueOf(b)];
    const numbers = number || !(Number.isNaN(x) || Number.isNaN(y));  // values of a study are text, and most are numbers
    const difference = numbers ? (x === y ? 0 : x - y) : a.localeCompare(b, "en", { numeric: true });
    return descending ? -difference : difference;
  };

  const sheet = (part) => {
    const table = part.querySelector("table");
    if (!table) return;
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const selects = [...part.querySelectorAll("select")];
    const blocks = new Map([...part.querySelectorAll("script")].map((block) => [block.dataset.p, block]));
    const combinations = [...(blocks.size ? blocks.keys() : new Set([...body.rows].map((row) => row.dataset.p)))]
      .filter((code) => code !== undefined).map((code) => code.split(" "));
    let rows = [...body.rows];  // in the order of the file
    let sorted = null;  // the place of a column, and whether from high to low

    const arrange = () => {
      let order = rows;
      if (sorted) {
        const before = compared(heads[sorted.place].classList.contains("number"), sorted.descending);
        const keyed = rows.map((row) => [textOf(row.cells[sorted.place]), row]);
        order = keyed.sort((a, b) => before(a[0], b[0])).map((each) => each[1]);
      }
      body.append(...order);
      heads.forEach((head, place) => {
        if (sorted?.place === place) head.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    };

    const pick = () => {
      selects.forEach((select, level) => {
        const above = selects.slice(0, level).map((each) => each.value);
        const possible = new Set(combinations.filter((code) => above.every((value, i) => code[i] === value)).map((code) => code[level]));
        for (const option of select.options) option.disabled = !possible.has(option.value);
        if (!possible.has(select.value)) select.value = [...possible][0];
      });
      const chosen = selects.map((select) => select.value).join(" ");
      if (blocks.size) {
        body.innerHTML = blocks.get(chosen).textContent;  // escaped when it was written
        rows = [...body.rows];
        arrange();
      } else if (selects.length) {
        for (const row of rows) row.hidden = row.dataset.p !== chosen;
      }
    };

    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = "descending" in head.dataset;
        if (sorted?.place !== place) sorted = { place, descending: first };
        else if (sorted.descending === first) sorted = { place, descending: !first };
        else sorted = null;
        arrange();
      });
    });
    for (const select of selects) select.addEventListener("change", pick);
    for (const button of part.querySelectorAll("button[data-copy]")) {
      button.addEventListener("click", () => copy(button.dataset.copy === "csv" ? csv(table) : latex(table)));
    }
    pick();
  };

  // The rows and columns that are shown: cells with their text, and how they are set.
  const shown = (table) => {
    const visible = (cell) => !cell.classList.contains("picked");
    const cells = (row) => [...row.cells].filter(visible);
    const [titles, headings] = [...table.tHead.rows].reverse();
    return {
      titles: cells(titles).map(textOf),
      text: cells(titles).map((cell) => !cell.classList.contains("number")),
      headings: headings ? cells(headings).map((cell) => ({ text: textOf(cell), span: cell.colSpan })) : [],
      rows: [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => cells(row).map((cell) => ({
        text: textOf(cell),
        marks: cell.querySelector("sup")?.textContent ?? "",
        bold: cell.querySelector("b") !== null,
        italic: row.classList.contains("aside"),
      }))),
    };
  };

  const csv = (table) => {
    const { titles, text, headings, rows } = shown(table);
    const above = headings.flatMap(({ text: heading, span }) => Array(span).fill(heading));
    const plain = (value) => value === "–" ? "" : value.replace(/\u202f/g, "").replace("−", "-").replace("∞", "inf");
    // An apostrophe before what spreadsheets take for a formula.
    const safe = (value) => /^'*(?:[=@\t\r\uff1d\uff0b\uff0d\uff20]|[+-](?!\d+(?:\.\d+)?$))/.test(value) ? `'${value}` : value;
    const cell = (value) => /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    const lines = [
      titles.map((title, place) => safe([above[place], title].filter(Boolean).join(" "))),
      ...rows.map((row) => row.map((each, place) => text[place] ? safe(each.text === "–" ? "" : each.text) : plain(each.text))),
    ];
    return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  };

  const GREEK = "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi o pi rho varsigma sigma tau upsilon varphi chi psi omega".split(" ");
  const TEX = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%", "_": "\\_",
    "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "$<$", ">": "$>$", "|": "$|$", "[": "{[}", "]": "{]}",
    "–": "--", "−": "$-$", "±": "$\\pm$", "×": "$\\times$", "∞": "$\\infty$", "†": "$\\dagger$", "↑": "$\\uparrow$",
    "↓": "$\\downarrow$", "≤": "$\\leq$", "≥": "$\\geq$", "≈": "$\\approx$", "…": "\\ldots{}", "\u202f": "\\,", "Δ": "$\\Delta$",
  };
  const tex = (text) => [...text].map((character) => {
    const letter = GREEK[character.charCodeAt(0) - 0x3b1];
    return TEX[character] ?? (letter ? `$\\${letter}$` : character);
  }).join("").replaceAll("$\\o$", "o").replace(/\bE\\_([hf])\b/g, "$\\mathcal{E}_$1$");

  const latex = (table) => {
    const { titles, text, headings, rows } = shown(table);
    const line = (cells) => `${cells.join(" & ")} \\\\`;
    const set = ({ text: content, marks, bold, italic }) => {
      const plain = tex(content);
      if (!plain) return "";
      return (bold ? `\\textbf{${plain}}` : italic ? `\\textit{${plain}}` : plain) + (marks ? `$^{\\mathrm{${tex(marks).replaceAll("$", "")}}}$` : "");
    };
    const rules = [];
    let column = 1;
    for (const { text: heading, span } of headings) {
      if (heading) rules.push(`\\cmidrule(lr){${column}-${column + span - 1}}`);
      column += span;
    }
    return [
      "% needs \\usepackage{booktabs}",
      `\\begin{tabular}{${text.map((each) => each ? "l" : "r").join("")}}`,
      "\\toprule",
      ...(headings.length ? [line(headings.map(({ text: heading, span }) => heading ? `\\multicolumn{${span}}{c}{${tex(heading)}}` : "& ".repeat(span - 1))), rules.join(" ")] : []),
      line(titles.map(tex)),
      "\\midrule",
      ...rows.map((row) => line(row.map(set))),
      "\\bottomrule",
      "\\end{tabular}",
      "",
    ].join("\n");
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      tell("Copied.");
    } catch {  // a browser may refuse it to a page from a disk
      const dialog = document.getElementById("copied");
      const area = dialog.querySelector("textarea");
      area.value = text;
      dialog.showModal();
      area.focus();
      area.select();
    }
  };

  let telling = 0;
  const tell = (text) => {
    const told = document.getElementById("told");
    told.textContent = text;
    clearTimeout(telling);
    telling = setTimeout(() => { told.textContent = ""; }, 2000);
  };

  document.addEventListener("DOMContentLoaded", () => {
    colours(document.getElementById("colours"));
    navigation(document.querySelector("nav"));
    document.querySelectorAll(".sheet").forEach(sheet);
  });
})();
