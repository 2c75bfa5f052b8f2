"use strict";
// Charts of Bokeh: made when they are seen, coloured by light or dark, zoomed by buttons, tied to the map.
nop.charts = (() => {
  Bokeh.set_log_level("error");
  console.log = nop_log;
  const views = {};
  const waiting = {};

  function paint(figure, dark) {
    const ink = dark ? "#e8ebef" : "#1d232b", muted = dark ? "#a7b0bb" : "#5a636e", line = dark ? "#343c46" : "#d9dee4";
    const all = [...figure.below, ...figure.left, ...figure.right, ...figure.above, ...figure.center];
    for (const one of all) {
      if (one.axis_label_text_color !== undefined && one.major_label_text_color !== undefined) {
        Object.assign(one, { axis_label_text_color: ink, major_label_text_color: ink, axis_line_color: muted, major_tick_line_color: muted });
      }
      if (one.grid_line_color !== undefined && one.grid_line_color !== null) one.grid_line_color = line;
      if (one.label_text_color !== undefined) Object.assign(one, { label_text_color: ink, background_fill_color: dark ? "#14181d" : "#ffffff", border_line_color: null });
      if (one.title_text_color !== undefined) Object.assign(one, { title_text_color: ink, major_label_text_color: ink });
      if (one.name === "ink") { if (one.text_color !== undefined) one.text_color = muted; if (one.line_color !== undefined) one.line_color = ink; }
      if (one.name === "cursor") one.line_color = dark ? "#7cc4ff" : "#0072B2";
      if (one.name === "row") one.fill_color = dark ? "#7cc4ff" : "#0072B2";
    }
    for (const one of figure.renderers) {
      if (one.name === "critical") { one.glyph.line_color = dark ? "#9fb0c0" : ink; continue; }
      const glyph = one.glyph, fill = glyph && glyph.fill_color;
      if (typeof fill !== "string" && !(fill && typeof fill.value === "string")) continue;
      one.bright ||= typeof fill === "string" ? fill : fill.value;
      const shown = dark ? lighter(one.bright) : one.bright;
      glyph.fill_color = shown;

    }
  }

  // a colour that is seen on a dark ground: towards white the darker it is
  function lighter(colour) {
    const parts = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    const light = (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / 255;
    const share = Math.max(0, 0.55 - light);
    return "#" + parts.map((one) => Math.round(one + share * (255 - one)).toString(16).padStart(2, "0")).join("");
  }

  const part = (figure, name) => [...figure.center, ...figure.renderers, ...figure.below].find((one) => one.name === name);

  async function show(key) {
    if (views[key]) return views[key];
    if (waiting[key]) return waiting[key];
    const source = document.querySelector(`script[data-item="${key}"]`);
    waiting[key] = Bokeh.embed.embed_item(JSON.parse(source.textContent)).then((manager) => {
      const figure = manager.roots[0].model;
      const view = { key, figure, root: manager.roots[0], start: figure.x_range.start, end: figure.x_range.end };
      views[key] = view;
      paint(figure, nop.dark());
      wire(view);
      figure.hold_render = false;
      nop.ready = (nop.ready || 0) + 1;
      return view;
    });
    return waiting[key];
  }

  function wire(view) {
    const { figure, key } = view;
    const outer = document.querySelector(`figure[data-chart="${key}"]`);
    const zoom = outer.querySelector(":scope > .zoom");
    if (zoom) {
      zoom.hidden = false;
      zoom.addEventListener("click", (event) => {
        const how = event.target.dataset.zoom;
        if (!how) return;
        const range = figure.x_range;
        if (view.low === undefined) { view.low = range.start; view.high = range.end; }
        const width = range.end - range.start, middle = (range.end + range.start) / 2;
        let to = [range.start, range.end];
        if (how === "in") to = [middle - width / 4, middle + width / 4];
        if (how === "out") to = [middle - width, middle + width];
        if (how === "left") to = [range.start - width / 3, range.end - width / 3];
        if (how === "right") to = [range.start + width / 3, range.end + width / 3];
        if (how === "fit") to = [view.low, view.high];
        if (how !== "fit") {
          const size = Math.min(to[1] - to[0], view.high - view.low);
          const low = Math.max(view.low, Math.min(to[0], view.high - size));
          to = [low, low + size];
        }
        range.setv({ start: to[0], end: to[1] });
      });
    }
    const known = (figure.tags || []).find((tag) => tag && (tag.rows || (tag instanceof Map && tag.get("rows"))));
    if (known) {
      view.rows = known.rows || known.get("rows");
      view.by = known.by || known.get("by");
      for (const renderer of figure.renderers) {
        const source = renderer.data_source;
        if (!source || renderer.name === "critical") continue;
        source.selected.change.connect(() => {
          const at = source.selected.indices[0];
          if (at === undefined) return;
          const row = view.rows[source.data.y[at]];
          row_of(view, row);
          if (nop.links.gantt) nop.links.gantt(key, row, source.data.l[at] / view.by);
        });
      }
    }
    const points = figure.renderers.find((one) => one.name === "points");
    if (points) scatter(view, points, outer);
  }

  const get = (thing, key) => (thing instanceof Map ? thing.get(key) : thing[key]);
  // any two columns of a study, its front, and the row of the table that a point is
  function scatter(view, points, outer) {
    const { figure } = view;
    const source = points.data_source, tag = figure.tags[0], axes = get(tag, "axes");
    const now = { x: get(tag, "x"), y: get(tag, "y") };
    const bar = outer.parentElement.querySelector(".axes");
    const table = outer.parentElement.querySelector("table.sortable");
    [...table.tBodies[0].rows].forEach((row, i) => { row.dataset.row = i; });
    function draw() {
      const xs = [...source.data["v" + now.x]], ys = [...source.data["v" + now.y]];
      const a = xs.map((v) => get(axes[now.x], "better") === "higher" ? -v : v), b = ys.map((v) => get(axes[now.y], "better") === "higher" ? -v : v);
      const order = a.map((_, i) => i).filter((i) => Number.isFinite(a[i]) && Number.isFinite(b[i])).sort((i, j) => a[i] - a[j] || b[i] - b[j]);
      const front = new Set();
      let least = Infinity, at = null;
      for (const i of order) {
        if (b[i] < least) { least = b[i]; at = a[i]; front.add(i); } else if (b[i] === least && a[i] === at) front.add(i);
      }
      const colour = xs.map((_, i) => (front.has(i) ? "#D55E00" : "#0072B2"));
      source.data = { ...source.data, x: xs, y: ys, colour };
      figure.below[0].axis_label = get(axes[now.x], "label");
      figure.left[0].axis_label = get(axes[now.y], "label");
      view.low = undefined;
    }
    if (bar && axes.length > 1) {
      bar.hidden = false;
      bar.querySelectorAll("select").forEach((select) => {
        axes.forEach((axis, i) => { const option = nop.make("option", get(axis, "label")); option.value = i; select.append(option); });
        select.value = now[select.dataset.axis];
        select.addEventListener("change", () => { now[select.dataset.axis] = Number(select.value); draw(); });
      });
    }
    const pick = (at) => {
      for (const row of table.tBodies[0].rows) row.classList.toggle("picked", at.includes(Number(row.dataset.row)));
      const first = [...table.tBodies[0].rows].find((row) => row.classList.contains("picked"));
      if (first) { const box = table.closest(".scroll"); box.scrollTop = first.offsetTop - box.clientHeight / 2; }
    };
    source.selected.change.connect(() => pick([...source.selected.indices]));
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) source.selected.indices = [Number(row.dataset.row)];
    });
  }

  function row_of(view, name) {
    const box = part(view.figure, "row");
    const at = view.rows ? view.rows.indexOf(name) : -1;
    if (!box) return;
    box.setv(at < 0 ? { visible: false } : { top: at - 0.5, bottom: at + 0.5, visible: true });
  }

  function cursor(key, time) {
    const view = views[key];
    if (!view || !view.by) return;
    const line = part(view.figure, "cursor");
    if (line) line.setv(time === null ? { visible: false } : { location: time * view.by, visible: true });
  }

  function mark(key, name) { if (views[key]) row_of(views[key], name); }

  function choose(key) {
    const button = document.querySelector(`button[data-show="${key}"]`);
    if (!button) return;
    for (const one of button.parentElement.children) {
      const on = one === button;
      one.setAttribute("aria-pressed", on);
      const outer = document.querySelector(`figure[data-chart="${one.dataset.show}"]`);
      outer.toggleAttribute("data-hidden", !on);
      if (on) show(one.dataset.show);
    }
    const rows = button.parentElement.nextElementSibling;
    if (rows && rows.matches(".levels")) mark_levels(rows, JSON.parse(button.dataset.levels));
  }

  // charts that several things tell apart: a row of buttons for each, such as workload, package, traffic
  function levels_of(group) {
    const all = [...group.children].map((one) => ({ key: one.dataset.show, levels: JSON.parse(one.dataset.levels) }));
    const count = all[0].levels.length;
    group.hidden = all.length < 2 || count > 1;
    if (all.length < 2 || count < 2) return;
    const rows = nop.make("div", undefined, "levels");
    for (let level = 0; level < count; level++) {
      const row = nop.make("div", undefined, "choose");
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", group.getAttribute("aria-label") + ", choice " + (level + 1));
      for (const name of new Set(all.map((one) => one.levels[level]))) {
        const button = nop.make("button", name);
        button.type = "button";
        button.addEventListener("click", () => {
          const now = [...rows.children].map((one) => one.querySelector("[aria-pressed=true]").textContent);
          const alike = (one) => one.levels.reduce((sum, text, i) => sum + (text === now[i] ? count - i : 0), one.levels[level] === name ? 1000 : 0);
          now[level] = name;
          choose(all.reduce((best, one) => (alike(one) > alike(best) ? one : best)).key);
        });
        row.append(button);
      }
      row.hidden = row.children.length < 2;
      rows.append(row);
    }
    group.after(rows);
    mark_levels(rows, all[0].levels);
  }
  // names of a later row that go with what the rows before have chosen, others are hidden
  function mark_levels(rows, chosen) {
    const all = [...rows.previousElementSibling.children].map((one) => JSON.parse(one.dataset.levels));
    [...rows.children].forEach((row, level) => {
      const there = new Set(all.filter((levels) => levels.slice(0, level).every((text, i) => text === chosen[i])).map((levels) => levels[level]));
      for (const one of row.children) { one.hidden = !there.has(one.textContent); one.setAttribute("aria-pressed", one.textContent === chosen[level]); }
    });
  }

  document.querySelectorAll(".choose").forEach((group) => {
    levels_of(group);
    group.addEventListener("click", (event) => { if (event.target.dataset.show) choose(event.target.dataset.show); });
  });
  document.querySelectorAll("figure.chart").forEach((outer) => {
    const place = outer.querySelector(".canvas");
    place.style.minHeight = place.dataset.height + "px";
  });
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { show(entry.target.dataset.chart); watch.unobserve(entry.target); }
  }, { rootMargin: "300px" });
  document.querySelectorAll("figure.chart").forEach((outer) => watch.observe(outer));
  // what may be printed is made when nothing else is to do: while a browser prints, a page makes nothing any more
  const shown = () => [...document.querySelectorAll("figure.chart:not([data-hidden])")];
  const later = window.requestIdleCallback || ((act) => setTimeout(act, 200));
  function make_rest() {
    const next = shown().find((outer) => !waiting[outer.dataset.chart]);
    if (next) show(next.dataset.chart).then(() => later(make_rest));
  }
  window.addEventListener("load", () => later(make_rest));
  // a canvas keeps the width of the screen: on paper stands an image of it, its axes in the ink of paper
  let printed = [];
  function on_screen() {
    printed.forEach((image) => image.remove());
    if (printed.length && nop.dark()) Object.values(views).forEach((view) => paint(view.figure, true));
    printed = [];
  }
  window.addEventListener("beforeprint", () => {
    on_screen();
    for (const outer of shown()) {
      const view = views[outer.dataset.chart];
      if (!view) continue;
      if (nop.dark()) paint(view.figure, false); // axes at once; bars keep their colours, which paper bears too
      for (const one of [...view.figure.above, ...view.figure.right, ...view.figure.center]) view.root.views.find_one(one)?.request_paint(); // keys of a legend
      view.root.paint();
      const place = outer.querySelector(".canvas"), image = nop.make("img", undefined, "paper");
      image.src = view.root.export("png").canvas.toDataURL();
      image.alt = place.getAttribute("aria-label");
      place.append(image);
      printed.push(image);
    }
  });
  window.addEventListener("afterprint", on_screen);
  nop.onTheme((dark) => Object.values(views).forEach((view) => paint(view.figure, dark)));
  return { show, views, choose, cursor, mark };
})();
