"use strict";
// The package map: colours by view and time, figures on pointing, whose traffic on a click.
(() => {
  const map = nop.data.map;
  if (!map) return;
  const SHADES = map.shades;
  const outer = nop.find("map"), tip = nop.find("tip"), facts = nop.find("facts"), hint = facts.firstElementChild;
  const figures = [...outer.querySelectorAll("figure.map")];
  const state = { w: 0, v: null, p: -1, t: -1, kept: null };
  const runs = new Map(map.runs.map((run) => [run.w + "|" + run.p, run]));
  const run_of = (p) => runs.get(state.w + "|" + p);
  const view_of = (p) => { const run = run_of(p); return run && run.views[state.v]; };
  const kinds = [...new Set(map.runs.flatMap((run) => Object.keys(run.views)))];
  const first_view = (v) => { const run = map.runs.find((one) => one.w === state.w && one.views[v]); return run ? run.views[v] : null; };
  const is_kind = (kind) => { const view = first_view(state.v); return Boolean(view) && view.kind === kind; };
  const gantt_of = (p) => { const run = run_of(p), view = view_of(p); return view && view.gantt || run && Object.values(run.views).map((one) => one.gantt).find(Boolean) || ""; };

  const pictures = figures.map((figure, p) => {
    const svg = figure.querySelector("svg");
    const channels = [], nodes = [];
    svg.querySelectorAll("[data-c]").forEach((path) => { (channels[+path.dataset.c] ||= []).push(path); });
    svg.querySelectorAll("[data-n]").forEach((node) => { nodes[+node.dataset.n] = node; });
    const centre = nodes.map((node) => { const box = node.getBBox ? node.firstElementChild.getBBox() : { x: 0, y: 0, width: 0, height: 0 }; return [box.x + box.width / 2, box.y + box.height / 2]; });
    const whole = [0, 0, +svg.dataset.w, +svg.dataset.h];
    // what the pointer is on is outlined on a sheet of its own, so that the map beneath is not painted again
    const over = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    over.setAttribute("class", "over");
    over.setAttribute("aria-hidden", "true");
    for (const name of ["viewBox", "preserveAspectRatio"]) over.setAttribute(name, svg.getAttribute(name));
    svg.after(over);
    return { p, figure, svg, over, channels, nodes, centre, whole, box: [...whole], at: null };
  });

  function busy_of(view) {
    if (!view.bytes) {
      const text = atob(view.busy);
      view.bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) view.bytes[i] = text.charCodeAt(i);
    }
    return view.bytes;
  }
  const share_at = (view, i) => state.t < 0 ? view.mean[i] : busy_of(view)[i * view.bins + state.t] / 250;

  // value of a channel in the unit of the scale: s for a traffic, a share for a step or a simulation
  function value(p, i) {
    const view = view_of(p);
    if (view.kind === "step") return share_at(view, i);
    if (view.kind === "simulation") return view.used[i];
    if (view.kind === "plan") return 0;
    if (view.kind === "package") return map.packages[p].channels[i].b;
    return view.load[i] / map.packages[p].channels[i].b;
  }

  function part_of(p) {
    const kept = state.kept;
    if (!kept || kept.p !== p || kept.type !== "node") return null;
    const view = view_of(p);
    if (!view || !view.sent) return null;
    const sent = view.sent[kept.i], received = view.received[kept.i];
    const chosen = sent[0].length ? sent : received;
    if (!chosen[0].length) return null;
    const found = new Map();
    chosen[0].forEach((c, k) => found.set(c, chosen[1][k]));
    return { found, how: sent[0].length ? "sends" : "receives" };
  }

  function scale() {
    if (!first_view(state.v)) return 1;
    if (is_kind("plan") || is_kind("step") && state.t >= 0) return 1;
    let most = 0;
    for (const run of map.runs) {
      if (run.w !== state.w || !run.views[state.v]) continue;
      const channels = map.packages[run.p].channels;
      for (let i = 0; i < channels.length; i++) most = Math.max(most, value(run.p, i));
    }
    return most || 1;
  }

  function paint() {
    const top = scale();
    const nodes_most = most_of_nodes(), step = is_kind("step"), plan = is_kind("plan"), bare = is_kind("package"), share = step || plan || is_kind("simulation");
    nop.find("scale-what").textContent = [map.workloads[state.w], titles.get(state.v)].filter(Boolean).join(", ") + ":";
    nop.find("scale-high").textContent = share ? nop.percent(top, top < 0.1 ? 1 : 0) : nop.si(top, bare ? "B/s" : "s");
    nop.find("scale-name").textContent = bare ? "bandwidth of a channel" : plan ? "of the step that a rank is busy; the plan's model gives collectives a time, channels no load"
      : step ? (state.t < 0 ? "of the step that a channel is busy; chiplets and stacks paler, up to " + nop.percent(nodes_most, 0) : "of this slot that a channel, chiplet or stack is busy")
      : is_kind("simulation") ? "of the flits that a channel could carry, simulated" : "that a channel is busy with all of this traffic; ribbons are the wider the faster the channel";
    // a view that the chosen package does not have is shown where it is
    if (state.p >= 0 && !view_of(state.p) && pictures.some(({ p }) => view_of(p))) { state.p = -1; pressed("pick-package", "-1"); }
    for (const picture of pictures) {
      const { p, channels, nodes } = picture;
      const view = view_of(p);
      picture.figure.hidden = !view || (state.p >= 0 && state.p !== p);
      if (picture.figure.hidden) continue;
      const part = part_of(p);
      const limit = new Set(view.ties || []);
      channels.forEach((paths, i) => {
        const channel = map.packages[p].channels[i];
        let share = value(p, i) / top, name = "";
        if (part) { share = part.found.has(i) ? part.found.get(i) / channel.b / top : 0; if (!part.found.has(i)) name = " dim"; }
        name = (share <= 1e-9 ? "idle" : "q" + Math.min(SHADES - 1, Math.floor(share * (SHADES - 1) + 0.5))) + name;
        if (limit.has(channel.n) && !part) name += " limit";
        if (is_kept(p, "channel", i)) name += " kept";
        for (const path of paths) path.setAttribute("class", name);
      });
      const whose = whose_of(p);
      nodes.forEach((node, i) => {
        const box = node.firstElementChild;
        const first = node.getAttribute("class").split(" ").slice(0, 2).join(" ");
        node.setAttribute("class", first + (is_kept(p, "node", i) ? " kept" : "") + (whose && whose.has(i) ? " from" : ""));
        const share = step ? share_at(view, channels.length + i) : plan ? view.mean[i] : 0;
        const kind = map.packages[p].nodes[i].k;
        box.setAttribute("class", "box" + ((step || plan) && share > 0 && kind !== "switch" ? " busy q" + Math.min(SHADES - 1, Math.round(share / (state.t < 0 ? nodes_most : 1) * (SHADES - 1) * 0.45)) : ""));
      });
      const text = picture.figure.querySelector(".figures");
      text.textContent = view.said !== undefined ? view.said : bare ? "" : nop.si(view.time, "s") + ", lower bound " + nop.si(view.bound, "s") + (view.bottleneck ? ", bottleneck " + view.bottleneck : "");
    }
    outer.querySelector(".maps").classList.toggle("one", pictures.filter((one) => !one.figure.hidden).length === 1);
    types();
    table();
  }
  function most_of_nodes() {
    let most = 1e-9;
    for (const run of map.runs) {
      const view = run.w === state.w && run.views[state.v];
      if (view && view.mean) for (let i = view.kind === "plan" ? 0 : map.packages[run.p].channels.length; i < view.mean.length; i++) most = Math.max(most, view.mean[i]);
    }
    return most;
  }
  const is_kept = (p, type, i) => state.kept && state.kept.p === p && state.kept.type === type && state.kept.i === i;

  // nodes whose traffic a kept channel carries
  function whose_of(p) {
    const kept = state.kept;
    if (!kept || kept.p !== p || kept.type !== "channel") return null;
    const view = view_of(p);
    if (!view || !view.sent) return null;
    return new Set([...parts(view.sent, kept.i), ...parts(view.received, kept.i)].map((one) => one[0]));
  }
  function parts(rows, channel) {
    const found = [];
    rows.forEach((row, node) => { const k = row[0].indexOf(channel); if (k >= 0) found.push([node, row[1][k]]); });
    return found.sort((a, b) => b[1] - a[1]);
  }

  function channel_facts(p, i) {
    const channel = map.packages[p].channels[i], view = view_of(p);
    const found = [];
    if (view.kind === "package") found.push(["bandwidth", nop.si(channel.b, "B/s")]);
    else if (view.kind === "step") {
      found.push(["busy in the step", nop.percent(view.mean[i], 2)], ["that is", nop.si(view.mean[i] * view.time, "s")]);
      if (state.t >= 0) found.push(["busy in this slot", nop.percent(share_at(view, i), 0)]);
      found.push(["capacity", nop.si(channel.b, "B/s")]);
    } else if (view.kind === "simulation") {
      found.push(["utilisation", nop.percent(view.used[i])], ["carried", nop.si(view.load[i], "B")], ["capacity", nop.si(channel.b, "B/s")],
        ["buffers behind it", view.mean[i].toPrecision(3) + " flits on average, " + view.peak[i] + " at most"]);
    } else if (view.kind === "plan") found.push(["capacity", nop.si(channel.b, "B/s")]);
    else {
      const time = view.load[i] / channel.b;
      found.push(["bytes", nop.si(view.load[i], "B")], ["capacity", nop.si(channel.b, "B/s")], ["busy", nop.si(time, "s")],
        ["utilisation", nop.percent(view.time > 0 ? time / view.time : 0)],
        ["price", view.price[i] * channel.b > 1e-6 * view.bound ? nop.si(view.price[i] * 1e9, "s") + " of bound per GB/s" : "0: not worth widening"]);
    }
    found.push(["kind", channel.k + " link"]);
    return found;
  }
  function node_facts(p, i) {
    const node = map.packages[p].nodes[i], view = view_of(p), count = map.packages[p].channels.length;
    const found = [["kind", node.k], ...Object.entries(node.f)];
    if (view.kind === "package") return found;
    if (view.kind === "plan") return [...found, ...view.facts[i]];
    if (view.kind === "step") {
      found.push(["busy in the step", nop.percent(view.mean[count + i], 2)]);
      if (state.t >= 0) found.push(["busy in this slot", nop.percent(share_at(view, count + i), 0)]);
    } else {
      let out = 0, into = 0;
      map.packages[p].channels.forEach((channel, c) => { if (channel.t === i) out += view.load[c]; if (channel.h === i) into += view.load[c]; });
      found.push(["leaves it", nop.si(out, "B")], ["enters it", nop.si(into, "B")]);
    }
    return found;
  }
  const name_of = (p, type, i) => type === "node" ? map.packages[p].nodes[i].n : map.packages[p].channels[i].n;
  const facts_of = (p, type, i) => type === "node" ? node_facts(p, i) : channel_facts(p, i);

  function whose_list(p, type, i) {
    const view = view_of(p), made = [];
    if (view.kind !== "flow") return made;
    if (view.whose) { made.push(nop.make("p", "Whose traffic: " + view.whose + ".", "hint")); return made; }
    const names = map.packages[p].nodes;
    const column = (title, rows, rest) => {
      const box = nop.make("div", undefined, "whose");
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", title);
      box.append(nop.make("strong", title), nop.list(rows.map(([node, bytes]) => [names[node].n, nop.si(bytes, "B")])));
      if (rest) box.append(nop.make("p", rest, "hint"));
      made.push(box);
    };
    if (type === "channel") {
      const from = parts(view.sent, i), to = parts(view.received, i);
      if (from.length) column("Sent by", from);
      if (to.length) column("For", to);
      const known = view.reduces ? to : from, total = known.reduce((sum, one) => sum + one[1], 0);
      if (view.load[i] > 0 && total < 0.99 * view.load[i]) made.push(nop.make("p", nop.si(view.load[i] - total, "B") + " of its load is for nobody: the solver's flow takes a detour here, which limits nothing.", "hint"));
    } else {
      const row = view.goes && view.goes[i];
      if (row && row[0].length) column("Sends to", row[0].map((node, k) => [node, row[1][k]]), row[2] ? "and " + row[2] + " more" : "");
      const come = view.comes && view.comes[i];
      if (come && come[0].length) column("Receives from", come[0].map((node, k) => [node, come[1][k]]), come[2] ? "and " + come[2] + " more" : "");
      const part = part_of(p);
      if (part) made.push(nop.make("p", "The map shows what it " + part.how + ", on the same scale; other channels are pale.", "hint"));
    }
    return made;
  }

  function show_facts(p, type, i) {
    const title = nop.make("h3", name_of(p, type, i) + (figures.length > 1 ? " in " + map.packages[p].name : ""));
    const columns = nop.make("div", undefined, "cols");
    columns.append(nop.list(facts_of(p, type, i)), ...whose_list(p, type, i));
    facts.replaceChildren(title, columns);
  }
  function keep(p, type, i) {
    state.kept = is_kept(p, type, i) ? null : { p, type, i };
    paint();
    if (state.kept) show_facts(p, type, i); else facts.replaceChildren(hint);
    const gantt = gantt_of(p);
    if (gantt && nop.charts) { if (state.kept) nop.charts.choose(gantt); nop.charts.mark(gantt, state.kept ? name_of(p, type, i) : null); }
  }
  function let_go() { if (state.kept) { const { p, type, i } = state.kept; keep(p, type, i); } }

  function thing(target) {
    const found = target.closest && target.closest("[data-c],[data-n]");
    if (!found) return null;
    return found.dataset.c !== undefined ? ["channel", +found.dataset.c] : ["node", +found.dataset.n];
  }
  let room = { width: 0, height: 0 };
  function point(p, type, i, x, y) {
    const bold = nop.make("b", name_of(p, type, i));
    tip.replaceChildren(bold, nop.list(facts_of(p, type, i)));
    tip.hidden = false;
    room = { width: tip.offsetWidth, height: tip.offsetHeight };
    move(x, y);
  }
  function move(x, y) {
    const left = Math.max(4, Math.min(x + 14, innerWidth - room.width - 8));
    const top = y + 18 + room.height > innerHeight ? y - room.height - 12 : y + 18;
    tip.style.transform = "translate(" + Math.round(left) + "px," + Math.round(top) + "px)";
  }
  function outline(picture, found) {
    const things = !found ? [] : found[0] === "node" ? [picture.nodes[found[1]].firstElementChild] : picture.channels[found[1]];
    picture.over.replaceChildren(...things.map((one) => { const copy = one.cloneNode(); copy.removeAttribute("data-c"); copy.setAttribute("class", found[0]); return copy; }));
  }

  for (const picture of pictures) {
    const { p, svg, figure } = picture;
    let now = "";
    svg.addEventListener("pointermove", (event) => {
      if (event.buttons && picture.drag) return;
      const found = thing(event.target);
      const key = found ? found.join() : "";
      if (key !== now) { now = key; outline(picture, found); if (found) point(p, ...found, event.clientX, event.clientY); else tip.hidden = true; }
      else if (found) move(event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; now = ""; outline(picture, null); });
    svg.addEventListener("click", (event) => {
      if (picture.moved) return;
      const found = thing(event.target);
      if (found) keep(p, ...found); else let_go();
    });
    svg.addEventListener("keydown", (event) => {
      const order = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const at = picture.at;
      if (order[event.key]) {
        event.preventDefault();
        const from = at ? (at[0] === "node" ? at[1] : map.packages[p].channels[at[1]].t) : -1;
        set_at(picture, ["node", from < 0 ? 0 : next(picture, from, order[event.key])]);
      } else if (event.key === "c" && at) {
        const node = at[0] === "node" ? at[1] : picture.base;
        const mine = map.packages[p].channels.map((channel, i) => [channel, i]).filter(([channel]) => channel.t === node || channel.h === node).map(([, i]) => i);
        if (!mine.length) return;
        const k = at[0] === "channel" ? (mine.indexOf(at[1]) + 1) % mine.length : 0;
        picture.base = node;
        set_at(picture, ["channel", mine[k]]);
      } else if ((event.key === "Enter" || event.key === " ") && at) { event.preventDefault(); keep(p, ...at); }
      else if (event.key === "Escape") { let_go(); set_at(picture, null); }
    });
    svg.addEventListener("blur", () => { tip.hidden = true; });
    const zoom = figure.querySelector(".zoom");
    zoom.hidden = false;
    zoom.addEventListener("click", (event) => {
      const how = event.target.dataset.zoom;
      if (!how) return;
      if (how === "fit") picture.box = [...picture.whole];
      else {
        const factor = how === "in" ? 0.6 : 1 / 0.6, [x, y, w, h] = picture.box;
        const at = state.kept && state.kept.p === p && state.kept.type === "node" ? picture.centre[state.kept.i] : [x + w / 2, y + h / 2];
        picture.box = [at[0] - w * factor / 2, at[1] - h * factor / 2, w * factor, h * factor];
      }
      bounds(picture);
    });
    svg.addEventListener("pointerdown", (event) => { picture.drag = [event.clientX, event.clientY, ...picture.box]; picture.moved = false; });
    window.addEventListener("pointerup", () => { picture.drag = null; setTimeout(() => { picture.moved = false; }, 0); });
    svg.addEventListener("pointermove", (event) => {
      if (!picture.drag || !event.buttons) return;
      const [x, y, left, top, w] = picture.drag;
      if (w >= picture.whole[2]) return;
      if (Math.abs(event.clientX - x) + Math.abs(event.clientY - y) > 4) picture.moved = true;
      const per = w / svg.clientWidth;
      picture.box[0] = left - (event.clientX - x) * per;
      picture.box[1] = top - (event.clientY - y) * per;
      bounds(picture);
    });
  }
  function bounds(picture) {
    const [, , w, h] = picture.whole, box = picture.box;
    if (box[2] >= w) picture.box = [...picture.whole];
    else { box[0] = Math.max(0, Math.min(box[0], w - box[2])); box[1] = Math.max(0, Math.min(box[1], h - box[3])); }
    for (const sheet of [picture.svg, picture.over]) sheet.setAttribute("viewBox", picture.box.map((one) => one.toFixed(1)).join(" "));
    types();
  }
  function next(picture, from, [dx, dy]) {
    const [x, y] = picture.centre[from];
    let best = from, least = Infinity;
    picture.centre.forEach(([a, b], i) => {
      const along = (a - x) * dx + (b - y) * dy, across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
      if (i !== from && along > 1 && along + 2 * across < least) { least = along + 2 * across; best = i; }
    });
    return best;
  }
  function set_at(picture, at) {
    picture.svg.querySelectorAll(".at").forEach((one) => one.classList.remove("at"));
    picture.at = at;
    if (!at) { tip.hidden = true; return; }
    const things = at[0] === "node" ? [picture.nodes[at[1]]] : picture.channels[at[1]];
    things.forEach((one) => one.classList.add("at"));
    const box = things[0].getBoundingClientRect();
    point(picture.p, ...at, box.left + box.width / 2, box.top + box.height / 2);
    if (!state.kept) show_facts(picture.p, ...at);
  }
  // names are written where they can be read
  function types() {
    for (const picture of pictures) {
      if (picture.figure.hidden) continue;
      const per = picture.svg.clientWidth / picture.box[2];
      picture.svg.querySelectorAll(".type").forEach((group) => group.classList.toggle("small", Number(group.getAttribute("font-size")) * per < 6.5));
    }
  }
  window.addEventListener("resize", types);
  window.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const shown_package = () => state.p >= 0 ? state.p : pictures.findIndex((one) => !one.figure.hidden);
  const channels = nop.find("channels");
  function table() {
    if (!channels.open) return;
    const p = shown_package(), run = run_of(p);
    if (!run) return;
    const rows = map.packages[p].channels.map((channel, i) => {
      const row = [channel.n, channel.b];
      for (const key of Object.keys(run.views)) {
        const view = run.views[key];
        if (view.kind === "package" || view.kind === "plan") continue;
        if (view.kind === "step") row.push(view.mean[i]);
        else if (view.kind === "simulation") row.push(view.load[i], view.used[i], view.mean[i], view.peak[i]);
        else row.push(view.load[i], view.load[i] / channel.b, view.time > 0 ? view.load[i] / channel.b / view.time : 0, view.price[i] * 1e9);
      }
      return row;
    });
    const columns = [{ name: "channel", unit: null }, { name: "capacity", unit: "B/s" }];
    for (const key of Object.keys(run.views)) {
      const title = run.views[key].title;
      if (run.views[key].kind === "package" || run.views[key].kind === "plan") continue;
      if (run.views[key].kind === "simulation") columns.push({ name: title + ": carried", unit: "B" }, { name: title + ": utilisation", unit: "", share: true }, { name: title + ": mean flits waiting", unit: "", plain: true }, { name: title + ": most flits waiting", unit: "", plain: true });
      else if (run.views[key].kind === "step") columns.push({ name: title + ": busy", unit: "", share: true });
      else columns.push({ name: title + ": bytes", unit: "B" }, { name: title + ": busy", unit: "s" }, { name: title + ": utilisation", unit: "", share: true }, { name: title + ": price per GB/s", unit: "s" });
    }
    channels.querySelector(".here").replaceChildren(nop.table.build(columns, rows, "Channels of " + map.packages[p].name));
  }
  channels.addEventListener("toggle", table);

  function pick(id, names, chosen, choose) {
    const box = nop.find(id);
    box.replaceChildren();
    if (names.length < 2) return;
    names.forEach(([value, name]) => {
      const button = nop.make("button", name);
      button.type = "button";
      button.dataset.value = value;
      button.setAttribute("aria-pressed", value === chosen);
      button.addEventListener("click", () => {
        pressed(id, value);
        choose(value);
      });
      box.append(button);
    });
  }
  function pressed(id, value) { for (const one of nop.find(id).children) one.setAttribute("aria-pressed", one.dataset.value === value); }
  function set_view(v) { state.v = v; const step = is_kind("step"); nop.find("play-row").hidden = !step; if (!step) set_time(-1, true); else set_time(state.t, true); paint(); again(); }
  function again() { if (state.kept) show_facts(state.kept.p, state.kept.type, state.kept.i); }

  const slider = nop.find("time"), play = nop.find("play");
  let timer = null;
  function set_time(t, quiet) {
    state.t = t;
    slider.value = t;
    const seen = shown_package(), run = run_of(seen < 0 ? 0 : seen), view = run && run.views[state.v];
    if (view && view.kind === "step") {
      const text = t < 0 ? "whole step, on average" : pictures.length > 1 && state.p < 0 ? "slot " + (t + 1) + " of " + view.bins : nop.si((t + 0.5) / view.bins * view.time, "s") + " of " + nop.si(view.time, "s");
      nop.find("time-text").textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
    if (nop.charts) for (const run of map.runs) for (const one of Object.values(run.views)) if (one.gantt) nop.charts.cursor(one.gantt, t < 0 ? null : (t + 0.5) / one.bins * one.time);
    if (!quiet) { paint(); again(); }
  }
  slider.addEventListener("input", () => set_time(Number(slider.value)));
  function stop() { clearInterval(timer); timer = null; play.setAttribute("aria-pressed", false); play.textContent = "Play"; }
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    play.setAttribute("aria-pressed", true);
    play.textContent = "Pause";
    timer = setInterval(() => { const most = Number(slider.max); if (state.t >= most) { stop(); return; } set_time(state.t + 1); }, 80);
  });
  nop.links.gantt = (key, name, time) => {
    let view = null, run = null;
    for (const one of map.runs) for (const [v, each] of Object.entries(one.views)) if (each.gantt === key) { run = one; view = each; state.w = one.w; state.v = v; }
    if (!run) return;
    nop.find("play-row").hidden = false;
    pressed("pick-workload", String(state.w));
    pressed("pick-view", state.v);
    set_time(Math.max(0, Math.min(view.bins - 1, Math.floor(time / view.time * view.bins))), true);
    const channel = map.packages[run.p].channels.findIndex((one) => one.n === name), node = map.packages[run.p].nodes.findIndex((one) => one.n === name);
    state.kept = channel >= 0 ? { p: run.p, type: "channel", i: channel } : node >= 0 ? { p: run.p, type: "node", i: node } : null;
    paint();
    again();
  };

  const titles = new Map(map.runs.flatMap((run) => Object.entries(run.views).map(([key, view]) => [key, view.title])));
  state.v = kinds[0];
  state.p = map.packages.length > 3 ? 0 : -1;
  pick("pick-workload", map.workloads.map((name, i) => [String(i), name]), "0", (w) => { state.w = Number(w); if (state.kept) let_go(); set_time(-1, true); const v = first_view(state.v) ? state.v : kinds.find(first_view); pressed("pick-view", v); set_view(v); });
  pick("pick-view", kinds.map((key) => [key, titles.get(key)]), state.v, set_view);
  pick("pick-package", [["-1", "side by side"], ...map.packages.map((one, i) => [String(i), one.name])].slice(map.packages.length < 2 ? 1 : 0), String(state.p), (p) => { state.p = Number(p); paint(); });
  outer.querySelector(".controls").hidden = false;
  set_view(state.v);
  nop.map = { state, value, paint };
})();
