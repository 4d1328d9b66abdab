"use strict";
// Each group waits in a <template>, inert: a browser decodes no picture in it before the group is shown.

const PAGE = 20;
const FOLDED = 12; // images of a group shown at first
const byId = (id) => document.getElementById(id);

const all = [...document.querySelectorAll("template.group")].map((template, position) => ({
  template,
  position,
  kinds: template.dataset.kind.split(" "),
  freed: Number(template.dataset.freed),
  images: Number(template.dataset.images),
  least: Number(template.dataset.least),
  names: null,
}));
const orders = {
  freed: (a, b) => b.freed - a.freed,
  images: (a, b) => b.images - a.images,
  least: (a, b) => a.least - b.least,
  closest: (a, b) => b.least - a.least,
  given: () => 0,
};
let shown = all;
let page = 0;

function pages() {
  return Math.max(1, Math.ceil(shown.length / PAGE));
}

function namesOf(group) {
  group.names ??= Array.from(
    group.template.content.querySelectorAll("[data-path]"), (image) => image.dataset.path.toLowerCase(),
  ).join("\n");
  return group.names;
}

function choose() {
  const kind = document.querySelector(".kinds [aria-pressed=true]").dataset.kind;
  const wanted = byId("find").value.trim().toLowerCase();
  shown = all.filter((group) => (kind === "all" || group.kinds.includes(kind)) && (!wanted || namesOf(group).includes(wanted)));
  const order = orders[byId("sort").value];
  shown.sort((a, b) => order(a, b) || a.position - b.position);
  turnTo(0);
}

function fold(card) {
  const images = [...card.querySelectorAll(".image")];
  const more = card.querySelector(".more");
  if (images.length <= FOLDED + 1) return;
  images.slice(FOLDED).forEach((image) => { image.hidden = true; });
  more.hidden = false;
  more.textContent = `Show ${images.length - FOLDED} more`;
  more.addEventListener("click", () => {
    images.forEach((image) => { image.hidden = false; });
    more.hidden = true;
    images[FOLDED].querySelector("a").focus();
  });
}

function turnTo(number) {
  page = Math.min(Math.max(0, number), pages() - 1);
  const groups = shown.slice(page * PAGE, (page + 1) * PAGE);
  byId("groups").replaceChildren(...groups.map((group) => {
    const card = group.template.content.firstElementChild.cloneNode(true);
    fold(card);
    return card;
  }));
  const last = page * PAGE + groups.length;
  const text = shown.length ? `${page * PAGE + 1}–${last} of ${shown.length.toLocaleString("en")}` : "0 groups";
  document.querySelectorAll(".pager output").forEach((output) => { output.textContent = text; });
  document.querySelectorAll(".earlier").forEach((button) => { button.disabled = page === 0; });
  document.querySelectorAll(".later").forEach((button) => { button.disabled = page === pages() - 1; });
  byId("end").hidden = shown.length <= PAGE;
  byId("empty").hidden = shown.length > 0;
}

function turnBy(step) {
  const before = page;
  turnTo(page + step);
  if (page !== before) scrollTo({ top: byId("groups").offsetTop - byId("tools").offsetHeight - 20 });
}

function moveTo(step) {
  const cards = [...document.querySelectorAll(".card")];
  const current = cards.indexOf(document.activeElement.closest(".card"));
  const next = cards[Math.min(cards.length - 1, Math.max(0, current + step))];
  next?.focus();
  next?.scrollIntoView({ block: "start" });
}

function isDark() {
  return (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

function showTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

const keys = {
  ArrowRight: () => turnBy(1),
  ArrowLeft: () => turnBy(-1),
  j: () => moveTo(1),
  k: () => moveTo(-1),
  "/": () => byId("find").focus(),
  t: changeTheme,
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
byId("find").addEventListener("keydown", (event) => { if (event.key === "Escape") event.target.blur(); });
let typing;
byId("find").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(choose, 150); });
byId("sort").addEventListener("change", choose);
document.querySelectorAll(".kinds button").forEach((button) => button.addEventListener("click", () => {
  document.querySelectorAll(".kinds button").forEach((other) => other.setAttribute("aria-pressed", other === button));
  choose();
}));
document.querySelectorAll(".earlier").forEach((button) => button.addEventListener("click", () => turnBy(-1)));
document.querySelectorAll(".later").forEach((button) => button.addEventListener("click", () => turnBy(1)));
byId("theme").addEventListener("click", changeTheme);
byId("keys").addEventListener("click", () => byId("help").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
showTheme();
choose();
