"use strict";
// Numbers as the tables write them: three digits and an SI prefix.
const nop = (() => {
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
  const find = (id) => document.getElementById(id);
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
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const followers = [];
  const onTheme = (follow) => followers.push(follow);
  const told = () => followers.forEach((follow) => follow(dark()));
  const button = find("theme");
  button.hidden = false;
  const label = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); told(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { label(); told(); });
  label();
  window.addEventListener("beforeprint", () => followers.forEach((follow) => follow(false)));
  window.addEventListener("afterprint", told);
  const data = JSON.parse(find("data").textContent);
  return { si, percent, find, make, list, dark, onTheme, data, links: {} };
})();
