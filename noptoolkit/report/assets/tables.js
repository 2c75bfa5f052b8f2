"use strict";
// Sort a table by a click on a heading, filter it by words or by a comparison such as "step < 200 ms".
nop.table = (() => {
  const scale = { f: 1e-15, p: 1e-12, n: 1e-9, u: 1e-6, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
  const comparison = /^\s*(.+?)\s*(<=|>=|<|>|=)\s*([-+0-9.e]+)\s*(.*)$/;
  const key = (cell) => (cell.dataset.v === undefined ? null : Number(cell.dataset.v));

  function number(text, rest, unit) {
    const word = rest.trim();
    const value = Number(text);
    if (!word || word === unit) return value;
    if (word === "%") return value / 100;
    if (word.endsWith(unit) && scale[word[0]] !== undefined && word.length === unit.length + 1) return value * scale[word[0]];
    return NaN;
  }

  function test(text, heads) {
    const found = comparison.exec(text);
    if (found) {
      const wanted = found[1].toLowerCase();
      let at = heads.findIndex((head) => head.textContent.trim().toLowerCase() === wanted);
      if (at < 0) at = heads.findIndex((head) => head.textContent.trim().toLowerCase().startsWith(wanted));
      if (at >= 0) {
        const limit = number(found[3], found[4], heads[at].dataset.unit || "");
        const holds = { "<": (a) => a < limit, "<=": (a) => a <= limit, ">": (a) => a > limit, ">=": (a) => a >= limit, "=": (a) => a === limit }[found[2]];
        return (row) => { const value = key(row.cells[at]); return value !== null && holds(value); };
      }
    }
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return (row) => { const all = row.textContent.toLowerCase(); return words.every((word) => all.includes(word)); };
  }

  function wire(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const rows = [...body.rows].map((row, place) => [row, key(row.cells[i]), row.cells[i].textContent, place]);
      rows.sort((a, b) => {
        if (a[1] !== null && b[1] !== null) return sign * (a[1] - b[1]) || a[3] - b[3];
        if (a[1] !== null || b[1] !== null) return a[1] !== null ? -1 : 1;
        return sign * a[2].localeCompare(b[2], "en", { numeric: true }) || a[3] - b[3];
      });
      body.append(...rows.map((row) => row[0]));
    }));
    const field = table.closest(".table").querySelector(".filter");
    if (!field) return;
    const count = table.closest(".table").querySelector(".count");
    field.addEventListener("input", () => {
      const keep = test(field.value, heads);
      let left = 0;
      for (const row of body.rows) { row.hidden = !keep(row); left += !row.hidden; }
      const all = body.rows.length.toLocaleString("en");
      count.textContent = field.value.trim() ? left.toLocaleString("en") + " of " + all + " rows" : all + " rows";
    });
  }

  function build(columns, rows, name) {
    const outer = nop.make("div", undefined, "table");
    const tools = nop.make("p", undefined, "tools");
    const label = nop.make("label", "Filter ");
    const field = nop.make("input", undefined, "filter");
    field.type = "search";
    field.placeholder = "text, or a column < a value";
    label.append(field);
    tools.append(label, nop.make("output", rows.length.toLocaleString("en") + " rows", "count"));
    const table = nop.make("table", undefined, "sortable");
    const line = table.createTHead().insertRow();
    for (const column of columns) {
      const head = nop.make("th", undefined, "sort" + (column.unit === null ? " text" : ""));
      head.scope = "col";
      head.setAttribute("aria-sort", "none");
      if (column.unit) head.dataset.unit = column.unit;
      const button = nop.make("button", column.name);
      button.type = "button";
      head.append(button);
      line.append(head);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const made = body.insertRow();
      row.forEach((value, i) => {
        const column = columns[i];
        const text = typeof value === "number" ? (column.share ? nop.percent(value) : column.plain ? String(Number(value.toPrecision(3))) : nop.si(value, column.unit)) : value;
        const cell = i ? made.insertCell() : made.appendChild(nop.make("th"));
        if (!i) cell.scope = "row";
        cell.textContent = text;
        if (typeof value === "number") cell.dataset.v = value; else cell.className = "text";
      });
    }
    const scroll = nop.make("div", undefined, "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", name);
    scroll.append(table);
    outer.append(tools, scroll);
    wire(table);
    return outer;
  }

  nop.root.querySelectorAll("table.sortable").forEach(wire);
  return { build };
})();
