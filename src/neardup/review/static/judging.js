const secret = document.querySelector('meta[name="neardup-secret"]').content;
const place = document.getElementById("queries");
const trouble = document.getElementById("trouble");
let queries = [];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function picture(source, alt) {
  return element("img", { src: source, alt, loading: "lazy" });
}

async function send(query, match, relevant) {
  const answer = await fetch("/api/tick", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Neardup-Secret": secret },
    body: JSON.stringify({ query, match, relevant }),
  }).catch(() => null);
  const said = answer ? await answer.json().catch(() => ({})) : {};
  trouble.hidden = Boolean(answer && answer.ok);
  if (!trouble.hidden) trouble.textContent = said.error || "Not kept: the review has ended, or cannot be reached.";
  if (said.changed) queries[query] = said.changed;
  show(query);
}

function section(one) {
  const matches = one.matches.map((match, number) => {
    const box = element("input", { type: "checkbox", checked: match.relevant });
    box.addEventListener("change", () => send(one.query, number, box.checked));
    const label = match.label ? `${match.label} · ` : "";
    return element("label", { className: "match", title: match.name },
      picture(`/matches/${one.query}/${number}/small`, match.name),
      element("span", {}, box, ` ${match.similarity.toFixed(3)}`),
      element("span", { textContent: label + match.name }));
  });
  const none = element("button", { type: "button", textContent: "None is relevant" });
  none.addEventListener("click", () => send(one.query, null, false));
  return element("section", { id: `query-${one.query}`, className: one.judged ? "judged" : "" },
    element("div", { className: "query", title: one.folder },
      picture(`/queries/${one.query}/small`, one.name), element("p", { textContent: one.name }), none),
    element("div", { className: "matches" }, ...matches));
}

function count() {
  const judged = queries.filter((one) => one.judged).length;
  document.getElementById("judged").textContent = `${judged} of ${queries.length} queries judged`;
}

/* Boxes are set, not made anew, so that the keyboard stays where it is. */
function show(number) {
  const one = queries[number], shown = document.getElementById(`query-${number}`);
  shown.className = one.judged ? "judged" : "";
  shown.querySelectorAll("input").forEach((box, match) => { box.checked = one.matches[match].relevant; });
  count();
}

queries = (await (await fetch("/api/queries")).json()).queries;
place.append(...queries.map(section));
count();
