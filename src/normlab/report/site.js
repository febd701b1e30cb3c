// The first page of the report: what is shown of its claims. Without scripts all of them are.

const FILTERS = ["document", "topic", "verdict", "norm", "data", "device", "stands", "again"];
const COLUMNS = ["slug", "statement", "topic", "verdict", "answer", "clauses", "documents", "norms",
  "stands_for", "n", "profile", "device", "data", "again"];
const VERDICTS = ["supported", "partly supported", "refuted", "inconclusive", "no data"];

// State <-> what stands behind # in the address: only what differs from showing everything.
function stateOf(fragment) {
  const state = { q: "", sort: "verdict" };
  for (const name of FILTERS) state[name] = "";
  for (const pair of fragment.replace(/^#/, "").split("&")) {
    const [name, value = ""] = pair.split("=");
    if (name in state) state[name] = decoded(value);
  }
  return state;
}

function fragmentOf(state) {
  const kept = Object.entries(state).filter(([name, value]) =>
    value && !(name === "sort" && value === "verdict"));
  return kept.map(([name, value]) => name + "=" + encodeURIComponent(value)).join("&");
}

// A blank may be written as a plus. What is no text stays as it is: "100%".
function decoded(value) {
  try {
    return decodeURIComponent(value.replace(/\+/g, " "));
  } catch {
    return value;
  }
}

function textOf(row) {
  const clauses = row.clauses.map((clause) => clause.name + " " + clause.effect);
  return [row.slug, row.statement, row.answer, row.topic, row.verdict, row.device, row.data,
    ...row.documents, ...row.norms, ...row.stands_for, ...clauses].join(" ").toLowerCase();
}

// Every word of the search has to be somewhere in a claim, in any order.
function matches(row, state) {
  const has = {
    document: () => row.documents.includes(state.document),
    topic: () => row.topic === state.topic,
    verdict: () => row.verdict === state.verdict,
    norm: () => row.norms.includes(state.norm),
    // Of `cifar10, 5,000 images; digits` by the names alone.
    data: () => row.data.split("; ").some((set) => set.split(", ")[0] === state.data),
    device: () => row.device === state.device,
    stands: () => (row.stands_for.length > 0) === (state.stands === "yes"),
    again: () => (row.again || "never") === state.again,
  };
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const text = words.length ? textOf(row) : "";
  return FILTERS.every((name) => !state[name] || has[name]()) &&
    words.every((word) => text.includes(word));
}

const ORDERS = {
  verdict: (a, b) => VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict),
  topic: (a, b) => a.topic.localeCompare(b.topic),
  name: () => 0,
  seeds: (a, b) => b.n - a.n,
};

function shownOf(rows, state) {
  const order = ORDERS[state.sort] || ORDERS.verdict;
  return rows.filter((row) => matches(row, state))
    .sort((a, b) => order(a, b) || a.slug.localeCompare(b.slug));
}

function cellOf(value) {
  const parts = Array.isArray(value) ? value : [value];
  const words = parts.map((part) => typeof part === "object"
    ? `${part.name}: ${[part.verdict, part.effect].filter(Boolean).join(", ")}` : part);
  let text = words.join("; ");
  // A spreadsheet takes what begins like this for a formula.
  if (/^[=+\-@]/.test(text)) text = "'" + text;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function toCsv(rows) {
  const lines = rows.map((row) => COLUMNS.map((name) => cellOf(row[name])).join(","));
  return [COLUMNS.join(","), ...lines].join("\r\n") + "\r\n";
}

function start() {
  const rows = JSON.parse(document.getElementById("claims-data").textContent);
  const form = document.getElementById("choose");
  const element = new Map(rows.map((row) => [row.slug, document.getElementById(row.slug)]));
  const groups = [...document.querySelectorAll("table.verdicts tbody")];
  const home = new Map([...element].map(([slug, row]) => [slug, row.parentElement]));
  let state = stateOf("");

  function show() {
    const shown = shownOf(rows, state);
    const kept = new Set(shown.map((row) => row.slug));
    for (const [slug, row] of element) row.hidden = !kept.has(slug);
    // In the order of verdicts each row goes back to its group.
    for (const row of shown) {
      const group = state.sort === "verdict" ? home.get(row.slug) : groups[0];
      group.append(element.get(row.slug));
    }
    document.getElementById("shown").textContent = `${shown.length} of ${rows.length} claims`;
    return shown;
  }

  function fill() {
    for (const name of Object.keys(state)) {
      form.elements[name].value = state[name];
      // A link may name what this page does not have.
      if (form.elements[name].value !== state[name]) state[name] = stateOf("")[name];
      form.elements[name].value = state[name];
    }
    return show();
  }

  function fromAddress() {
    // A plain #slug leads to its row, whatever else is chosen.
    if (location.hash && !location.hash.includes("=")) return;
    state = stateOf(location.hash);
    fill();
  }

  form.addEventListener("input", () => {
    for (const name of Object.keys(state)) state[name] = form.elements[name].value;
    const fragment = fragmentOf(state);
    history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    history.replaceState(null, "", location.pathname + location.search);
    state = stateOf("");
    fill();
  });

  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  document.getElementById("csv").addEventListener("click", () =>
    save("claims.csv", "text/csv", toCsv(shownOf(rows, state))));
  document.getElementById("json").addEventListener("click", () =>
    save("claims.json", "application/json", JSON.stringify(shownOf(rows, state), null, 1)));
  window.addEventListener("hashchange", fromAddress);
  form.hidden = false;
  fromAddress();
  show();
}

if (typeof document !== "undefined") start();
