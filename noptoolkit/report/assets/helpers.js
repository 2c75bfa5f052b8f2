"use strict";
// What map, tables and charts share: numbers as the tables write them (three digits and an SI prefix), elements.
function nop_helpers(root, data) {
  const prefixes = { "-15": "f", "-12": "p", "-9": "n", "-6": "u", "-3": "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E" };
  function si(value, unit) {
    if (!Number.isFinite(value)) return String(value);
    if (value === 0) return "0 " + unit;
    const rounded = Number(value.toPrecision(3));
    let power = 3 * Math.floor(Math.log10(Math.abs(rounded)) / 3 + 1e-9);
    power = Math.max(-15, Math.min(18, power));
    return Number((rounded / 10 ** power).toPrecision(3)) + " " + prefixes[power] + unit;
  }
  const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
  function make(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }
  function list(pairs) {
    const made = make("dl");
    for (const [name, value] of pairs) made.append(make("dt", name), make("dd", value));
    return made;
  }
  const find = (id) => root.getElementById(id);
  return { root, data, si, percent, find, make, list, links: {} };
}
