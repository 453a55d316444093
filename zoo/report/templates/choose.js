// The chooser: filters stored in the URL hash, and the matching rows as chart, table and details.

const data = JSON.parse(document.getElementById("choose-data").textContent);
const at = id => document.getElementById("choose-" + (id === "data" ? "set" : id));
const FEW = 100;  // table rows shown at first
const COSTS = {
  download: {label: "Size with gzip (kB)", of: file => file.download && file.download / 1000},
  size: {label: "File size (kB)", of: file => file.size && file.size / 1000},
  latency: {label: "Latency (ms)", of: (file, run) => run && run.ms, timed: true},
  energy: {label: "Energy per inference (mJ)", of: (file, run) => run && run.mj, timed: true},
};
const COLUMNS = [
  {id: "name", label: "Model", of: row => row.name},
  {id: "precision", label: "Precision", of: row => row.precision},
  {id: "top1", label: "Accuracy", unit: "%, test", number: true, of: row => row.top1, show: accuracy},
  {id: "download", label: "gzip", unit: "kB", number: true, of: row => row.download && row.download / 1000},
  {id: "size", label: "File", unit: "kB", number: true, of: row => row.size && row.size / 1000},
  {id: "latency", label: "Latency", unit: "ms", number: true, of: row => row.run && row.run.ms, show: latency},
  {id: "energy", label: "Energy", unit: "mJ", number: true, of: row => row.run && row.run.mj},
  {id: "parameters", label: "Parameters", number: true, of: row => row.parameters, show: row => row.parameters == null ? "–" : row.parameters.toLocaleString("en")},
  {id: "state", label: "Status", of: row => row.state},
];
const SHOWN = COLUMNS.filter(column => column.id !== "energy" || data.files.some(file => file.cases.some(run => run.mj !== undefined)));
const defaults = {data: mostFiles(), x: "download", device: data.setups[0] || "", delegate: "", precision: "", q: "", best: "", published: "", sort: "top1:down", file: ""};
let state = {...defaults}, rows = [], everything = false, begun = false, width = 0;

function mostFiles() {
  const count = {};
  for (const file of data.files) count[file.dataset] = (count[file.dataset] || 0) + (file.top1 === undefined ? 0.01 : 1);
  return Object.keys(count).sort((a, b) => count[b] - count[a])[0] || "";
}

function element(name, text, attributes) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return node;
}

function accuracy(row) {
  return row.top1 === undefined ? "–" : row.top1.toFixed(2);
}

function latency(row) {
  return row.run && row.run.ms !== undefined ? figure(row.run.ms, true) : "–";
}

// -- state ------------------------------------------------------------------------------------

function read() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  state = {...defaults};
  for (const key in defaults) if (parameters.has(key)) state[key] = parameters.get(key);
  if (!Object.hasOwn(data.datasets, state.data)) state.data = defaults.data;
  if (!Object.hasOwn(COSTS, state.x)) state.x = defaults.x;
  mend();
}

// Latencies are comparable only within one device and delegate, so one of each is always selected.
function mend() {
  if (!data.setups.includes(state.device)) state.device = defaults.device;
  const names = (data.tried[data.setups.indexOf(state.device)] || []).map(i => data.delegates[i]);
  if (!names.includes(state.delegate)) state.delegate = names[0] || "";
  options(at("delegate"), names.map(name => [name, name]), state.delegate);
  options(at("precision"), [["", "all"], ...precisions().map(name => [name, name])], state.precision);
  state.precision = at("precision").value;
}

function precisions() {
  const used = new Set(data.files.filter(file => file.dataset === state.data).map(file => file.precision));
  return Object.keys(data.looks).filter(name => used.has(name));
}

function write() {
  const parameters = new URLSearchParams();
  for (const key in state) if (state[key] !== defaults[key] && !(key === "delegate" && at("delegate").selectedIndex === 0)) parameters.set(key, state[key]);
  history.replaceState(null, "", "#" + parameters);
}

function options(select, pairs, value) {
  select.replaceChildren(...pairs.map(([key, text]) => element("option", text, {value: key})));
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

// -- rows -------------------------------------------------------------------------------------

function findRows() {
  const setup = data.setups.indexOf(state.device), delegate = data.delegates.indexOf(state.delegate);
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = text => words.every(word => text.toLowerCase().includes(word));
  const cost = COSTS[state.x];
  const matching = [];
  data.files.forEach(file => {
    if (file.dataset !== state.data || (state.precision && file.precision !== state.precision)) return;
    if (!matches(`${file.name} ${file.model} ${file.scheme}`)) return;
    const run = file.cases.find(each => each.setup === setup && each.delegate === delegate);
    matching.push({...file, file, run, x: cost.of(file, run), key: file.place, ...judged(file, run, cost)});
  });
  const published = state.published && data.published[state.data];
  if (published) for (const result of published.rows) if (matches(result.model))
    matching.push({name: result.model, precision: "float32", top1: result.top1, size: result.size, parameters: result.parameters,
      x: cost.timed ? null : result.size / 1000, published: true, key: "published " + result.model + result.source,
      state: `published (${result.source}), on ${published.dataset}; size: 4 bytes per parameter`});
  return matching;
}

// Failed cases stay in the table with their reason and are not plotted.
function judged(file, run, cost) {
  if (file.failed !== undefined) return {state: "failed: " + file.failed, bad: true};
  if (run && run.failed !== undefined) return {state: "failed: " + run.failed, bad: cost.timed, partly: true};
  if (file.top1 === undefined) return {state: "no test accuracy"};
  if (cost.timed && !run) return {state: "not timed with this device and delegate"};
  if (state.x === "energy" && run && run.mj === undefined) return {state: run.no_energy ? "no energy: " + run.no_energy : "energy not measured"};
  return {state: run && run.nodes ? `measured; delegated: ${run.nodes}` : "measured"};
}

const drawn = row => row.x > 0 && row.top1 !== undefined && !row.bad;

function refresh() {
  rows = findRows();
  const points = rows.filter(drawn).map(row => ({x: row.x, y: row.top1, key: row.key, row, published: row.published, name: row.model ? [row.model, row.scheme, row.precision].filter(Boolean).join(", ") : row.name,
    color: data.looks[row.precision]?.color, path: row.published ? PUBLISHED : SHAPES[data.looks[row.precision].shape],
    words: `${row.name}: ${row.top1.toFixed(2)} % at ${figure(row.x)} ${/\((.*)\)/.exec(COSTS[state.x].label)[1]}${row.published ? ", " + row.state : ""}`}));
  const best = new Set(front(points.filter(point => !point.published)).map(point => point.row));
  for (const row of rows) row.best = best.has(row);
  if (state.best) rows = rows.filter(row => row.best || row.published);
  const shown = points.filter(point => rows.includes(point.row));
  const where = COSTS[state.x].timed ? `, ${state.delegate} on ${state.device}` : "";
  const labels = {x: COSTS[state.x].label + where, short: COSTS[state.x].label + (where && ", " + state.delegate), y: "Test accuracy (%)", none: "No data: no file here has both values."};
  draw(at("plot"), shown, labels, {hover, choose: point => choose(point.row)}, state.file);
  const ours = shown.filter(point => !point.published).length, files = rows.filter(row => !row.published);
  const failed = files.filter(row => row.bad).length;
  const theirs = shown.length - ours;
  at("count").textContent = `${files.length} of ${data.files.filter(file => file.dataset === state.data).length} files of this dataset; ${ours} plotted` +
    (files.length > ours ? `, ${files.length - ours} only in the table${failed ? ` (${failed} failed)` : ""}` : "") + (theirs ? `; ${theirs} published results (hollow)` : "");
  note();
  legend();
  everything = false;
  table();
  details();
}

function note() {
  const published = data.published[state.data];
  at("published").disabled = !published;
  at("about").textContent = !published ? "No published results for this dataset." :
    (published.same ? `Published results are the authors' own, with their weights, on ${published.dataset}` :
      `Published results are the authors' own, with their weights, on ${published.dataset}: not the same data as ${data.datasets[state.data]}`) +
    (COSTS[state.x].timed ? ". They include no latency or energy, so they are not plotted here." : ". Their size assumes 4 bytes per parameter.");
}

function legend() {
  const used = new Set(rows.map(row => row.published ? "published" : row.precision));
  at("legend").replaceChildren(...[...precisions().filter(name => used.has(name)), ...(used.has("published") ? ["published"] : [])].map(name => {
    const item = element("li"), icon = svgElement("svg", {viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true"});
    icon.append(svgElement("path", name === "published" ? {d: PUBLISHED, class: "published"} : {d: SHAPES[data.looks[name].shape], fill: data.looks[name].color, class: "mark"}));
    item.append(icon, " " + name);
    return item;
  }));
}

// -- table ------------------------------------------------------------------------------------

function table() {
  const [id, direction] = state.sort.split(":"), column = COLUMNS.find(each => each.id === id) || COLUMNS[2];
  const sign = direction === "up" ? 1 : -1;
  rows.sort((a, b) => {
    const first = column.of(a), second = column.of(b);
    if (first == null || second == null) return (first == null) - (second == null);
    return sign * (column.number ? first - second : first.localeCompare(second)) || a.name.localeCompare(b.name);
  });
  const heads = SHOWN.map(each => {
    const head = element("th", undefined, {scope: "col", ...(each.number && {class: "number"})});
    const sorted = each === column;
    if (sorted) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const button = element("button", each.label + (sorted ? (sign > 0 ? " ▲" : " ▼") : ""), {type: "button", "data-sort": each.id});
    if (each.unit) button.append(element("span", each.unit, {class: "unit"}));
    head.append(button);
    return head;
  });
  at("head").replaceChildren(...heads);
  at("rows").replaceChildren(...(everything ? rows : rows.slice(0, FEW)).map(line));
  at("more").hidden = everything || rows.length <= FEW;
  at("more").textContent = `Show all ${rows.length} rows`;
}

function line(row) {
  const tr = element("tr", undefined, {"data-key": row.key, class: (row.bad ? "bad " : "") + (row.key === state.file ? "chosen" : "")});
  for (const column of SHOWN) {
    if (column.id === "name") {
      const head = element("th", undefined, {scope: "row"});
      head.append(row.published ? row.name : element("button", row.name, {type: "button", class: "link"}));
      tr.append(head);
      continue;
    }
    const value = column.of(row);
    const text = column.show ? column.show(row) : column.number ? (value == null ? "–" : figure(value, true)) : value;
    const cell = element("td", text, {class: column.number ? "number" : column.id === "state" && (row.bad || row.partly) ? "failed" : column.id === "state" ? "wrap state" : "whole"});
    if (column.id === "top1" && row.between) cell.title = `95 % confidence interval: ${row.between[0].toFixed(2)} to ${row.between[1].toFixed(2)}`;
    if (column.id === "state" && row.best) cell.prepend(element("b", "Pareto-optimal. "));
    tr.append(cell);
  }
  return tr;
}

// -- details ----------------------------------------------------------------------------------

function details() {
  const file = data.files.find(each => each.place === state.file), pane = at("details");
  if (!file) return pane.replaceChildren(element("p", "Select a point or a row to see its file, SHA-256 and commands.", {class: "muted small"}));
  const facts = element("dl", undefined, {class: "facts small"});
  const fact = (label, content) => { const dd = element("dd"); dd.append(content); facts.append(element("dt", label), dd); };
  const link = (href, text) => element("a", text, {href});
  if (file.link) fact("Download", link(file.link, decodeURIComponent(file.link.split("/").pop())));
  if (file.card) fact("Model card", link(file.card, decodeURIComponent(file.card.split("/").pop())));
  const all = link("#" + file.place, "all result lines of this file");
  fact("Details", all);
  fact("SHA-256", element("code", file.sha256));
  fact("Test accuracy", file.top1 === undefined ? (file.failed ? "failed: " + file.failed : "no test accuracy") :
    `${file.top1.toFixed(2)} %, 95 % confidence interval ${file.between[0].toFixed(2)} to ${file.between[1].toFixed(2)}, ${file.images.toLocaleString("en")} images of ${data.datasets[file.dataset]}${file.stated ? "; from the manifest, not measured here" : ""}`);
  if (file.size) fact("Size", `${file.size.toLocaleString("en")} bytes, ${(file.download || 0).toLocaleString("en")} with gzip`);
  if (file.macs) fact("MACs", file.macs.toLocaleString("en"));
  for (const run of file.cases) fact(`${data.delegates[run.delegate]}, ${data.setups[run.setup]}`, run.failed !== undefined ? "failed: " + run.failed :
    `${figure(run.ms)} ms` + (run.mj !== undefined ? `, ${figure(run.mj)} ± ${figure(run.mj_uncertainty)} mJ` : ""));
  const commands = element("ol", undefined, {class: "commands"});
  for (const index of file.commands) { const item = element("li"); item.append(element("code", data.commands[index])); commands.append(item); }
  pane.replaceChildren(element("h3", file.name), facts, element("h4", "Commands"), commands);
}

function choose(row) {
  if (row.published) return;
  state.file = row.key;
  write();
  for (const each of at("rows").children) each.classList.toggle("chosen", each.dataset.key === row.key);
  for (const mark of at("plot").querySelectorAll(".mark")) mark.classList.toggle("chosen", mark.point && mark.point.key === row.key);
  details();
}

function hover(point, mark) {
  const tip = at("tip");
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.words;
  const spot = mark.getBoundingClientRect(), frame = at("plot").parentElement.getBoundingClientRect();
  const left = spot.left - frame.left + spot.width / 2;
  tip.style.left = `${Math.min(Math.max(left - tip.offsetWidth / 2, 0), frame.width - tip.offsetWidth)}px`;
  tip.style.top = `${Math.max(0, spot.top - frame.top - tip.offsetHeight - 8)}px`;
}

// Opens the details of a file further down the page; the URL hash keeps the filters.
function open(place) {
  const target = document.getElementById(place);
  if (!target || !place.startsWith("file-")) return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({preventScroll: true});
}

// -- wiring -----------------------------------------------------------------------------------

function fill() {
  for (const key of ["data", "x", "device", "delegate", "precision", "q"]) at(key).value = state[key];
  for (const key of ["best", "published"]) at(key).checked = Boolean(state[key]);
}

function start() {
  options(at("data"), Object.entries(data.datasets), state.data);
  options(at("x"), Object.entries(COSTS).filter(([id]) => data.files.some(file =>
    [undefined, ...file.cases].some(run => COSTS[id].of(file, run)))).map(([id, cost]) => [id, cost.label]), state.x);
  options(at("device"), data.setups.length ? data.setups.map(name => [name, name]) : [["", "no latency results"]], state.device);
  const change = () => { mend(); fill(); write(); refresh(); };
  for (const key of ["data", "x", "device", "delegate", "precision"])
    at(key).addEventListener("change", event => { state[key] = event.target.value; change(); });
  at("q").addEventListener("input", event => { state.q = event.target.value; write(); refresh(); });
  for (const key of ["best", "published"])
    at(key).addEventListener("change", event => { state[key] = event.target.checked ? "1" : ""; change(); });
  at("reset").addEventListener("click", () => { state = {...defaults}; change(); });
  at("head").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const id = button.dataset.sort, [old, direction] = state.sort.split(":");
    const up = old === id ? direction !== "up" : !["top1", "parameters"].includes(id);
    state.sort = `${id}:${up ? "up" : "down"}`;
    write();
    table();
    at("head").querySelector(`[data-sort="${id}"]`).focus();
  });
  at("rows").addEventListener("click", event => {
    const row = event.target.closest("button") && rows.find(each => each.key === event.target.closest("tr").dataset.key);
    if (!row) return;
    choose(row);
    at("details").scrollIntoView({block: "nearest"});
    at("details").focus({preventScroll: true});
  });
  at("more").addEventListener("click", () => { everything = true; table(); });
  at("details").addEventListener("click", event => {
    const href = event.target.getAttribute("href") || "";
    if (href.startsWith("#")) { event.preventDefault(); open(href.slice(1)); }
  });
  addEventListener("hashchange", again);
  new ResizeObserver(() => {
    const now = Math.round(at("plot").parentElement.clientWidth);
    if (now !== width) { width = now; refresh(); }
  }).observe(at("plot").parentElement);
  document.getElementById("choose-section").hidden = false;
  width = Math.round(at("plot").parentElement.clientWidth);
  again();
}

// Links within the page also change the hash; they must not reset the filters.
function again() {
  if (!begun || location.hash === "" || location.hash.includes("=")) {
    begun = true;
    read();
    fill();
    refresh();
  }
  open(location.hash.slice(1));
}

start();
document.documentElement.dataset.ready = "1";
