"use strict";
// The page: its data, and light or dark.
const nop = (() => {
  const made = nop_helpers(document, JSON.parse(document.getElementById("data").textContent));
  const find = made.find;
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
  return Object.assign(made, { dark, onTheme });
})();
