// What the page holds: summaries of all groups, details of the few that were looked at, and where the person is.
const secret = document.querySelector("meta[name=neardup-secret]").content;
const PAGE = 60;
const STRIP = 100; // images of a group shown below it, around the chosen one
const byId = (id) => document.getElementById(id);
const views = ["picture", "difference", "aligned"];

const state = {
  groups: [],
  chosen: [], // numbers of the groups that the filter lets through, in order
  found: null, // numbers of those with the wanted part of a path; null: no part is wanted
  page: 0,
  group: null,
  image: 1,
  view: "picture",
  details: new Map(),
  losses: new Map(), // by group and image that stays
};

// One act after the other: a key pressed while a decision is on its way is meant for what comes after it.
let acting = Promise.resolve();
function run(act) {
  acting = acting.then(act).catch((error) => toast(error.message));
}

// The token has done its work: it need not stay in the address bar, nor in a screenshot.
history.replaceState(null, "", "/");

// ---- talking to the server ----

async function ask(path, body) {
  const answer = await fetch(path, body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Neardup-Secret": secret },
    body: JSON.stringify(body),
  }).catch(() => { throw new Error("neardup review is not running any more; start it again"); });
  const content = await answer.json().catch(() => ({ error: `the server said ${answer.status}` }));
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function change(path, body) {
  const answer = await ask(path, body);
  for (const summary of answer.changed) state.groups[summary.group] = summary;
  showTotals(answer);
  return answer;
}

async function detailsOf(group) {
  if (!state.details.has(group)) {
    if (state.details.size > 40) state.details.delete(state.details.keys().next().value);
    const asked = ask(`/api/groups/${group}`);
    state.details.set(group, asked);
    asked.catch(() => state.details.delete(group));
  }
  return state.details.get(group);
}

// When each image was taken, and what would go with it for the one that stays: the files are read for this.
function lossesOf(group) {
  const key = `${group}/${stayingOf(group)}`;
  if (!state.losses.has(key)) {
    if (state.losses.size > 40) state.losses.delete(state.losses.keys().next().value);
    const asked = ask(`/api/groups/${group}/losses`);
    state.losses.set(key, asked);
    asked.catch(() => state.losses.delete(key));
  }
  return state.losses.get(key);
}

const imageOf = (group, image, size) => `/images/${group}/${image}/${size}`;

// ---- small things ----

function make(tag, fields = {}, ...children) {
  const { dataset, ...others } = fields;
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, dataset);
  element.append(...children.filter((child) => child !== null));
  return element;
}

let toastTimer;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { byId("toast").hidden = true; }, 4500);
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const marksOf = (group) => state.groups[group].marks;
// What is said of one image, and of several, by its relation to the first of its group: the closest first.
const kinds = {
  exact: ["exact", "exact", "Exact copies"],
  copy: ["copy", "copies", "Copies"],
  edited: ["edited", "edited", "Edited"],
  similar: ["similar", "similar", "Similar"],
  other: ["other", "other", "Other"],
  near: ["near", "near", "Not looked at"],
};
const kindOf = (image) => image.relation ?? "near";
const badge = (kind, text) => make("span", { className: `badge ${kind}`, textContent: text });
function badgesOf(group) {
  const held = Object.keys(kinds).filter((kind) => group.kinds[kind]);
  if (held.length === 1) return held.map((kind) => badge(kind, kinds[kind][0]));
  return held.map((kind) => badge(kind, `${group.kinds[kind]} ${kinds[kind][group.kinds[kind] === 1 ? 0 : 1]}`));
}
const labels = { keep: "keep", drop: "drop", not: "not a duplicate", later: "later" };

// ---- the list on the left ----

const filters = {
  all: () => true,
  open: (group) => !group.decided,
  later: (group) => group.marks.includes("later"),
  drops: (group) => group.marks.includes("drop"),
};
const orders = {
  given: (a, b) => a.group - b.group,
  size: (a, b) => b.size_bytes - a.size_bytes || a.group - b.group,
  least: (a, b) => a.least - b.least || a.group - b.group,
  images: (a, b) => b.marks.length - a.marks.length || a.group - b.group,
};

const wantedKind = () => byId("relation").value;
const wantedPath = () => byId("find").value.trim();

async function choose() {
  const path = wantedPath();
  state.found = path ? new Set((await ask(`/api/find?path=${encodeURIComponent(path)}`)).groups) : null;
  const where = path ? " here" : "";
  byId("accept-exact").textContent = `Accept exact${where}`;
  byId("accept-copies").textContent = `Accept copies${where}`;
  state.chosen = state.groups.filter(isWanted).sort(orders[byId("sort").value]).map((group) => group.group);
  return openGroup(state.chosen[0] ?? null);
}

function isWanted(group) {
  return filters[byId("filter").value](group) && (wantedKind() === "any" || group.kinds[wantedKind()] > 0)
    && (state.found === null || state.found.has(group.group));
}

function showList() {
  const position = state.chosen.indexOf(state.group);
  if (position >= 0) state.page = Math.floor(position / PAGE);
  const first = state.page * PAGE;
  const shown = state.chosen.slice(first, first + PAGE);
  byId("list").replaceChildren(...shown.map((number) => listed(state.groups[number])));
  const pages = Math.max(1, Math.ceil(state.chosen.length / PAGE));
  byId("pages").textContent = state.chosen.length ? `${first + 1}–${first + shown.length} of ${state.chosen.length.toLocaleString("en")}` : "no groups";
  byId("earlier").disabled = state.page === 0;
  byId("later-page").disabled = state.page >= pages - 1;
  byId("list").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
}

function listed(group) {
  const picture = make("img", { src: imageOf(group.group, 0, "small"), alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.replaceWith(make("span", { className: "blank" })));
  const button = make("button", { type: "button", dataset: { group: group.group } },
    picture,
    make("span", {},
      make("span", { className: "name", textContent: group.name, title: group.name }),
      make("small", { textContent: `${(group.group + 1).toLocaleString("en")} · ${count(group.marks.length, "image")} · ${kinds[group.kind][0]}` })),
    make("span", { className: dotOf(group) }));
  button.setAttribute("aria-current", group.group === state.group);
  button.addEventListener("click", () => run(() => openGroup(group.group)));
  return make("li", {}, button);
}

function dotOf(group) {
  if (group.marks.includes("later")) return "dot later";
  return group.decided ? "dot decided" : "dot";
}

function refreshListed(group) {
  const button = byId("list").querySelector(`[data-group="${group}"]`);
  if (button) button.lastElementChild.className = dotOf(state.groups[group]);
}

function turnPage(step) {
  const first = state.chosen[(state.page + step) * PAGE];
  return first === undefined ? null : openGroup(first);
}

// ---- the group in the middle ----

async function openGroup(group, image = null) {
  state.group = group;
  showList();
  if (group === null) {
    showNothing();
    return;
  }
  const images = (await detailsOf(group)).images;
  const isOf = (number) => wantedKind() === "any" || kindOf(images[number]) === wantedKind();
  const find = (wanted, may) => marksOf(group).findIndex((mark, number) => number > 0 && mark === wanted && may(number));
  state.image = image ?? [find(null, isOf), find(null, () => true), find("later", () => true), 1].find((number) => number > 0);
  await showGroup();
  byId("nothing").hidden = true;
  byId("group").hidden = false;
  const next = state.chosen[state.chosen.indexOf(group) + 1];
  if (next !== undefined) {
    detailsOf(next).catch(() => {});
    for (const number of [0, 1]) new Image().src = imageOf(next, number, "large");
  }
}

function showNothing() {
  byId("group").hidden = true;
  byId("nothing").hidden = false;
  const done = state.groups.every((group) => group.decided);
  byId("nothing-title").textContent = !state.groups.length ? "No duplicates found" : done ? "All groups are decided" : "No group is like that";
  byId("nothing-text").textContent = !state.groups.length ? "Nothing in this index resembles another image enough."
    : done ? "Write the plan, then apply it with neardup dedup. Until then nothing is touched." : "Choose other groups on the left.";
}

async function showGroup() {
  const group = state.group;
  const details = await detailsOf(group);
  const marks = marksOf(group);
  byId("heading").textContent = `Group ${(group + 1).toLocaleString("en")} of ${state.groups.length.toLocaleString("en")}`;
  byId("kind").replaceChildren(...badgesOf(details));
  const left = leftOf(state.image);
  showSide(byId("left"), details, left, state.image, "picture");
  showSide(byId("right"), details, state.image, left, state.view);
  document.querySelectorAll("[data-mark]").forEach((button) => {
    button.setAttribute("aria-pressed", marks[state.image] === button.dataset.mark);
  });
  document.querySelectorAll("[data-view]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.view === state.view);
  });
  const first = Math.max(0, Math.min(state.image - STRIP / 2, details.images.length - STRIP));
  const numbers = [...details.images.keys()].slice(first, first + STRIP);
  byId("strip").replaceChildren(...numbers.map((number) => stripped(details, number)));
  byId("strip").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  explainPair(group, left, state.image);
}

// The image that the dropped ones are duplicates of.
function stayingOf(group) {
  const marks = marksOf(group);
  return marks[0] === "drop" ? Math.max(0, marks.indexOf("keep")) : 0;
}

// The image on the left: the one that stays for the image on the right.
function leftOf(image) {
  const stays = stayingOf(state.group);
  return image === stays ? 0 : stays;
}

function showSide(figure, details, number, other, view) {
  const image = details.images[number];
  const mark = marksOf(details.group)[number];
  const source = view === "picture" ? imageOf(details.group, number, "large") : `/differences/${details.group}/${other}/${number}/${view}`;
  const stage = make("div", { className: "stage" });
  const picture = make("img", { src: source, alt: image.name, decoding: "async" });
  picture.addEventListener("error", () => picture.replaceWith(make("p", {
    className: "absent",
    textContent: view !== "picture" ? "No reliable alignment" : image.there ? "This file cannot be read" : "This file is no longer there",
  })));
  stage.append(picture);
  const stays = number === stayingOf(details.group);
  const label = mark ?? (stays ? "keep" : null);
  if (label) stage.append(badge(label, mark ? labels[mark] : "keeper"));
  const against = details.images[other];
  const better = (mine, theirs) => (mine > theirs ? "better" : "");
  const pixels = (which) => which.width * which.height;
  figure.className = `side ${mark ?? ""}`;
  figure.replaceChildren(stage, make("figcaption", {},
    make("div", { className: "where" },
      make("span", { className: "name", textContent: image.name, title: image.name }),
      make("span", { className: "folder", textContent: image.folder, title: image.folder })),
    make("div", { className: "likeness" }, ...(number === 0
      ? [stays ? "keeper" : "first", make("small", { textContent: "of this group" })]
      : [make("span", { textContent: image.similarity.toFixed(3), title: "Similarity to the first image" }), badge(kindOf(image), kinds[kindOf(image)][0])])),
    make("div", { className: "facts" },
      make("span", { className: better(pixels(image), pixels(against)), textContent: `${image.width} × ${image.height}` }),
      make("span", { className: better(image.size_bytes, against.size_bytes), textContent: image.size }),
      make("span", { className: better(against.mtime_s, image.mtime_s), textContent: image.date }),
      image.label ? make("span", { textContent: image.label }) : null),
    saidOf(details, number), toldOf(details, number)));
  picture.addEventListener("load", () => grow(picture));
  picture.addEventListener("click", (event) => zoomAt(picture, event));
  picture.addEventListener("pointermove", (event) => { if (zoomed()) lookAt(picture, event); });
}

// What was done to the first image of the group to make this one, and what this one alone shows.
function saidOf(details, number) {
  const image = details.images[number];
  if (!image.change && !image.shows_more && !image.why) return null;
  const isFirst = stayingOf(details.group) === 0;
  const against = isFirst ? "" : "Against the first image: ";
  return make("div", { className: "said" },
    image.change ? make("span", { textContent: against + image.change }) : null,
    image.shows_more ? make("span", { className: "more", textContent: `Only here: ${image.shows_more}` }) : null,
    image.why ? make("span", { textContent: `${isFirst ? "Kept" : "The first image was proposed as the keeper"}: ${image.why}` }) : null);
}

// Comes a moment later than the picture.
function toldOf(details, number) {
  const told = make("div", { className: "said told" });
  lossesOf(details.group).then(({ images }) => {
    const { taken, lost, notes } = images[number];
    told.replaceChildren(...[
      taken ? make("span", { textContent: `Taken ${taken}` }) : null,
      lost.length ? make("span", { className: "more", textContent: `Loses ${lost.join(", ")}` }) : null,
      ...notes.map((note) => make("span", { textContent: note })),
    ].filter(Boolean));
  }).catch(() => {}); // the rest of the page goes on, and says when the server is gone
  return told;
}

// ---- closer, both in step ----

const zoomed = () => document.querySelector(".pair").classList.contains("zoomed");

function leaveZoom() {
  document.querySelector(".pair").classList.remove("zoomed");
}

// The picture as it lies in its stage, which it does not fill: left, top, width, height.
function frameOf(picture) {
  const { clientWidth: width, clientHeight: height } = picture.parentElement;
  const scale = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
  const [shownWidth, shownHeight] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
  return [(width - shownWidth) / 2, (height - shownHeight) / 2, shownWidth, shownHeight];
}

// Each picture grows around the same part of itself, by where the pointer is.
function lookAt(picture, event) {
  const box = picture.parentElement.getBoundingClientRect();
  const [left, top, width, height] = frameOf(picture);
  const part = (value) => Math.min(1, Math.max(0, value));
  const x = part((event.clientX - box.left - left) / width);
  const y = part((event.clientY - box.top - top) / height);
  growAround(x, y);
}

let middle = [0.5, 0.5];

function grow(picture) {
  const [left, top, width, height] = frameOf(picture);
  picture.style.transformOrigin = `${left + middle[0] * width}px ${top + middle[1] * height}px`;
}

function growAround(x, y) {
  middle = [x, y];
  document.querySelectorAll(".stage img").forEach(grow);
}

function zoomAt(picture, event) {
  if (!zoomed()) lookAt(picture, event);
  document.querySelector(".pair").classList.toggle("zoomed");
}

function zoomMiddle() {
  if (!zoomed()) growAround(0.5, 0.5);
  document.querySelector(".pair").classList.toggle("zoomed");
}

function stripped(details, number) {
  const mark = marksOf(details.group)[number];
  const picture = make("img", { src: imageOf(details.group, number, "small"), alt: details.images[number].name, loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.remove());
  const button = make("button", { type: "button", className: mark ?? "", title: details.images[number].name, dataset: { image: number } }, picture);
  const label = mark ? labels[mark] : number === 0 ? "keeper" : null;
  if (label) button.append(make("span", { className: `badge ${mark ?? "keep"}`, textContent: label === "not a duplicate" ? "not" : label }));
  button.setAttribute("aria-current", number === state.image);
  button.addEventListener("click", () => run(() => { state.image = number; return showGroup(); }));
  return make("li", {}, button);
}

const named = (relation) => `${relation[0].toUpperCase()}${relation.slice(1)}`;
const seen = {
  difference: "Differing places are red.",
  aligned: "On the right the other picture, laid over the left one.",
};

async function explainPair(group, first, second) {
  const line = byId("explained");
  if (state.view === "picture" || first === second) {
    line.textContent = "";
    return;
  }
  line.textContent = "Comparing…";
  let text;
  try {
    const found = await ask(`/differences/${group}/${first}/${second}`);
    text = found.aligned
      ? `${named(found.relation)}. From left to right: ${found.steps.join("; ") || "nothing visible changed"}. Confidence: ${found.confidence}. ${seen[state.view]}`
      : `${named(found.relation)}. No reliable alignment: too few details of the left image are found again in the right one.`;
  } catch (error) {
    text = error.message;
  }
  if (group === state.group && second === state.image) line.textContent = text;
}

// ---- moving about ----

function moveImage(step) {
  if (state.group === null) return null;
  const images = marksOf(state.group).length;
  state.image = (state.image + step + images) % images;
  return showGroup();
}

function moveGroup(step) {
  const next = state.chosen[state.chosen.indexOf(state.group) + step];
  if (next !== undefined) return openGroup(next);
  if (step > 0 && state.chosen.length) toast("This was the last group");
  return null;
}

// After a decision: the next image without one, of this group or of the next that has any.
function goOn() {
  const group = state.group;
  const marks = marksOf(group);
  const after = marks.findIndex((mark, number) => number > state.image && mark === null);
  const open = after > 0 ? after : marks.findIndex((mark, number) => number > 0 && mark === null);
  if (!state.groups[group].decided && open > 0) {
    state.image = open;
    return showGroup();
  }
  const position = state.chosen.indexOf(group);
  const next = state.chosen.slice(position + 1).find((number) => !state.groups[number].decided);
  if (next !== undefined) return openGroup(next);
  return openGroup(state.groups.every((each) => each.decided) ? null : group, state.image);
}

// ---- decisions ----

async function mark(image, wanted) {
  if (state.group === null) return;
  const isTakenAway = marksOf(state.group)[image] === wanted;
  await change("/api/marks", { group: state.group, member: image, mark: isTakenAway ? null : wanted });
  refreshListed(state.group);
  await (isTakenAway || image !== state.image ? showGroup() : goOn());
}

async function markAll(wanted) {
  if (state.group === null) return;
  await change("/api/marks", { group: state.group, member: null, mark: wanted });
  refreshListed(state.group);
  await goOn();
}

async function accept(which, name) {
  const path = wantedPath();
  const { changed } = await change(`/api/accept-${which}`, path ? { path } : {});
  const where = path ? ` with “${path}” in their path` : "";
  toast(changed.length ? `${name} of ${count(changed.length, "group")}${where} are marked to drop` : `${name}${where}: none is undecided`);
  showList();
  if (state.group !== null) await (marksOf(state.group)[state.image] === null ? showGroup() : goOn());
}

async function keepOnly() {
  if (state.group === null) return;
  await change("/api/keep-only", { group: state.group, member: state.image });
  refreshListed(state.group);
  await goOn();
}

async function undo() {
  const { changed: [first] } = await change("/api/undo", {});
  if (first === undefined) {
    toast("Nothing to undo");
    return;
  }
  if (!state.chosen.includes(first.group)) state.chosen = orderedWith(first.group);
  await openGroup(first.group);
}

function orderedWith(group) {
  const order = orders[byId("sort").value];
  return [...state.chosen, group].sort((a, b) => order(state.groups[a], state.groups[b]));
}

async function writePlan() {
  toast("Writing the plan…");
  const plan = await ask("/api/plan", {});
  byId("toast").hidden = true;
  const goes = plan.steps ? `${count(plan.steps, "image")} to drop, ${plan.size}.` : "There is no image to drop.";
  const stays = plan.kept.map(({ reason, images }) => `${count(images, "image")} marked to drop will stay: ${reason}.`);
  byId("written-text").textContent = [goes, ...stays].join(" ");
  byId("command").textContent = plan.command;
  byId("written").showModal();
}

function showTotals({ totals, undos }) {
  byId("progress").max = Math.max(1, totals.groups);
  byId("progress").value = totals.decided;
  byId("decided").textContent = `${totals.decided.toLocaleString("en")} of ${count(totals.groups, "group")} decided`;
  byId("dropped").textContent = totals.drops ? `${count(totals.drops, "image")} to drop, ${totals.size}` : "";
  byId("undo").disabled = undos === 0;
}

// ---- views and theme ----

function show(view) {
  state.view = view;
  return state.group === null ? null : showGroup();
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
function showTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
}
function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

// ---- wiring ----

const keys = {
  ArrowLeft: () => moveImage(-1),
  ArrowRight: () => moveImage(1),
  ArrowUp: () => moveGroup(-1),
  ArrowDown: () => moveGroup(1),
  k: () => mark(state.image, "keep"),
  d: () => mark(state.image, "drop"),
  n: () => mark(state.image, "not"),
  l: () => mark(state.image, "later"),
  K: () => mark(leftOf(state.image), "keep"),
  D: () => mark(leftOf(state.image), "drop"),
  a: () => markAll("drop"),
  N: () => markAll("not"),
  L: () => markAll("later"),
  x: () => show(views[(views.indexOf(state.view) + 1) % views.length]),
  o: keepOnly,
  z: zoomMiddle,
  Escape: leaveZoom,
  "/": () => byId("find").focus(),
  e: () => accept("exact", "Exact copies"),
  c: () => accept("copies", "Copies"),
  u: undo,
  w: writePlan,
  t: changeTheme,
  "?": () => byId("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.target.closest("select, input, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = keys[event.key];
  if (!act || event.repeat && !event.key.startsWith("Arrow")) return;
  event.preventDefault();
  run(act);
});
const onClick = (elements, act) => elements.forEach((element) => element.addEventListener("click", () => run(() => act(element.dataset))));
onClick(document.querySelectorAll("[data-mark]"), (data) => mark(state.image, data.mark));
onClick(document.querySelectorAll("[data-all]"), (data) => markAll(data.all));
onClick(document.querySelectorAll("[data-view]"), (data) => show(data.view));
for (const [id, act] of Object.entries({
  "accept-exact": keys.e,
  "accept-copies": keys.c,
  "keep-only": keepOnly,
  undo,
  write: writePlan,
  theme: changeTheme,
  keys: keys["?"],
  earlier: () => turnPage(-1),
  "later-page": () => turnPage(1),
})) onClick([byId(id)], act);
byId("find").addEventListener("keydown", (event) => { if (["Escape", "Enter"].includes(event.key)) event.target.blur(); });
let typing;
byId("find").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => run(choose), 200); });
for (const id of ["filter", "relation", "sort"]) {
  byId(id).addEventListener("change", (event) => {
    event.target.blur();
    run(choose);
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

showTheme();
run(async () => {
  const answer = await ask("/api/groups");
  state.groups = answer.groups;
  showTotals(answer);
  const held = Object.keys(kinds).filter((kind) => state.groups.some((group) => group.kinds[kind]));
  byId("relation").append(...held.map((kind) => make("option", { value: kind, textContent: kinds[kind][2] })));
  if (state.groups.every((group) => group.decided)) byId("filter").value = "all";
  await choose();
});
