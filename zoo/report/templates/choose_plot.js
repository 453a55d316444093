// The scatter plot of the chooser, drawn into one <svg>: scales, marks, Pareto front, keyboard.
// Text from files only ever becomes textContent or an attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = {left: 58, right: 18, top: 14, bottom: 46};
const SHAPES = {
  circle: "M5.5 0A5.5 5.5 0 1 1 -5.5 0A5.5 5.5 0 1 1 5.5 0Z",
  square: "M-5 -5H5V5H-5Z",
  up: "M0 -6.4L6 4.6H-6Z",
  diamond: "M0 -7L6.4 0L0 7L-6.4 0Z",
  down: "M0 6.4L6 -4.6H-6Z",
  cross: "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
};
const PUBLISHED = "M-6.2 0L-3.1 -5.6H3.1L6.2 0L3.1 5.6H-3.1Z";  // used for nothing else

function svgElement(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
}

// A range with a margin and round ticks; logarithmic if the largest value is 12 times the smallest.
function scale(values, from, to, logarithmic) {
  let low = Math.min(...values), high = Math.max(...values);
  const log = logarithmic && high / low >= 12;
  if (log) {
    [low, high] = [low / 1.25, high * 1.25];
  } else {
    const spread = Math.max(high - low, logarithmic ? 0.2 * high : 0.3);
    if (logarithmic && low < 0.5 * high) low = 0;
    else low = Math.max(0, low - 0.12 * spread);
    high += 0.12 * spread;
    if (!logarithmic) high = Math.min(high, 100 + 0.05 * spread);
  }
  const share = log
    ? value => Math.log(value / low) / Math.log(high / low)
    : value => (value - low) / (high - low);
  return {place: value => from + (to - from) * share(value), ticks: ticks(low, high, log)};
}

function ticks(low, high, log) {
  const steps = [];
  if (log) {
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const step of high / low > 300 ? [1] : [1, 2, 5]) steps.push(step * 10 ** power);
  } else {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(each => each * power >= 0.8 * rough) * power;
    for (let at = Math.ceil(low / step); at * step <= high * (1 + 1e-9); at++) steps.push(at * step);
  }
  return steps.filter(tick => tick >= low && tick <= high);
}

// The Pareto front, cheapest point first; of equal points only the first one.
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || b.y - a.y))
    if (!best.length || point.y > best[best.length - 1].y) best.push(point);
  return best;
}

// Three significant digits, or all digits before the point; `fixed` keeps trailing zeros, for columns.
function figure(value, fixed) {
  const digits = Math.min(4, value >= 100 || value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(value))));
  return value.toLocaleString("en", {maximumFractionDigits: digits, minimumFractionDigits: fixed ? digits : 0});
}

/* Redraws the points {x, y, name, words, key, color, path, published}.
   Calls back `act.hover(point or null, element)` and `act.choose(point)`. */
function draw(svg, points, labels, act, chosen) {
  const box = svg.parentElement.getBoundingClientRect();
  const width = Math.max(280, Math.round(box.width)), height = width < 560 ? 320 : 420;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.replaceChildren();
  if (!points.length) {
    const words = svgElement("text", {x: width / 2, y: height / 2, "text-anchor": "middle"}, labels.none);
    svg.append(words);
    return [];
  }
  const x = scale(points.map(p => p.x), MARGIN.left, width - MARGIN.right, true);
  const y = scale(points.map(p => p.y), height - MARGIN.bottom, MARGIN.top, false);
  axes(svg, x, y, width, height, labels);
  const best = front(points.filter(point => !point.published));
  const stairs = best.map((p, i) => `${i ? "H" + x.place(p.x).toFixed(1) + "V" : "M" + x.place(p.x).toFixed(1) + " "}${y.place(p.y).toFixed(1)}`);
  if (best.length) svg.append(svgElement("path", {class: "front", d: stairs.join("") + `H${width - MARGIN.right}`}));
  const marks = svgElement("g", {class: "marks"});
  const ordered = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const onFront = new Set(best);
  for (const point of ordered) {
    const mark = svgElement("path", {
      d: point.path,
      transform: `translate(${x.place(point.x).toFixed(1)} ${y.place(point.y).toFixed(1)})`,
      role: "button",
      tabindex: "-1",
      "aria-label": point.words + (onFront.has(point) ? ", Pareto-optimal" : ""),
      class: point.published ? "published" : point.key === chosen ? "mark chosen" : "mark",
    });
    if (!point.published) mark.setAttribute("fill", point.color);
    mark.point = point;
    marks.append(mark);
  }
  names(svg, best, points, x, y, width);
  svg.append(marks);
  keys(marks, act, chosen);
  return best;
}

// Names of the points on the front, above, below or beside them, where they hide no mark or name.
function names(svg, best, points, x, y, width) {
  const taken = points.map(point => [x.place(point.x) - 7, x.place(point.x) + 7, y.place(point.y), 13]);
  for (const point of [...best].reverse()) {
    const left = x.place(point.x), top = y.place(point.y), wide = 6.7 * point.name.length;
    const places = [[left - wide / 2, top - 14], [left + 10, top + 1], [left - wide / 2, top + 15], [left - 10 - wide, top - 8], [left + 8, top + 14]];
    const place = places.find(([start, middle]) => start >= MARGIN.left + 2 && start + wide <= width - 4 && middle > 8 &&
      taken.every(other => start > other[1] || start + wide < other[0] || Math.abs(middle - other[2]) >= other[3]));
    if (!place) continue;
    taken.push([place[0], place[0] + wide, place[1], 15]);
    svg.append(svgElement("text", {class: "name", x: place[0], y: place[1] + 4, "aria-hidden": "true"}, point.name));
  }
}

function axes(svg, x, y, width, height, labels) {
  const floor = height - MARGIN.bottom;
  let right = -Infinity;
  for (const tick of x.ticks) {
    const at = x.place(tick), text = figure(tick);
    svg.append(svgElement("path", {class: "grid", d: `M${at} ${MARGIN.top}V${floor}`}));
    if (at - 4 * text.length < right) continue;  // crowded: draw only the line
    right = at + 4 * text.length + 8;
    svg.append(svgElement("text", {x: at, y: floor + 18, "text-anchor": "middle"}, text));
  }
  for (const tick of y.ticks) {
    const at = y.place(tick);
    svg.append(svgElement("path", {class: "grid", d: `M${MARGIN.left} ${at}H${width - MARGIN.right}`}));
    svg.append(svgElement("text", {x: MARGIN.left - 8, y: at + 4, "text-anchor": "end"}, +tick.toFixed(4)));
  }
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  svg.append(svgElement("text", {class: "title", x: middle, y: height - 6, "text-anchor": "middle"}, 7.2 * labels.x.length < width - 60 ? labels.x : labels.short));
  const turned = {class: "title", "text-anchor": "middle", transform: `translate(14 ${(MARGIN.top + floor) / 2}) rotate(-90)`};
  svg.append(svgElement("text", turned, labels.y));
}

// Tab focuses one mark, arrow keys move between marks, Enter or Space selects.
function keys(marks, act, chosen) {
  const all = [...marks.children];
  const first = all.find(mark => mark.point.key === chosen) || all[0];
  first.setAttribute("tabindex", "0");
  const go = (from, to) => {
    if (!to) return;
    from.setAttribute("tabindex", "-1");
    to.setAttribute("tabindex", "0");
    to.focus();
  };
  marks.addEventListener("keydown", event => {
    const mark = event.target, at = all.indexOf(mark);
    const step = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1}[event.key];
    if (step) go(mark, all[at + step]);
    else if (event.key === "Home") go(mark, all[0]);
    else if (event.key === "End") go(mark, all[all.length - 1]);
    else if (event.key === "Enter" || event.key === " ") act.choose(mark.point);
    else return;
    event.preventDefault();
  });
  marks.addEventListener("click", event => event.target.point && act.choose(event.target.point));
  for (const [kind, shown] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]])
    marks.addEventListener(kind, event => event.target.point && act.hover(shown ? event.target.point : null, event.target));
}
