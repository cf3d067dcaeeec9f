// One person, two bell curves. No library; the people are in people.js, which a run of notebook 0 made.
// The address keeps what is shown: #person=3&phi=1.25&fpr=0.01
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 720, TOP = 40, BASE = 230, LEFT = 20, RIGHT = 700;
const byId = (id) => document.getElementById(id);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const density = (z) => Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
const state = { person: 0, phi: 0, fpr: 0.01 };

// ---------------------------------------------------------------- numbers

// The normal distribution function by its series (Marsaglia 2004), to about 1e-15.
function below(z) {
  if (Math.abs(z) > 9) return z > 0 ? 1 : 0;
  let sum = z, term = z, last = 0;
  for (let i = 1; sum !== last; i += 1) {
    last = sum;
    term *= z * z / (2 * i + 1);
    sum += term;
  }
  return 0.5 + sum * density(z);
}

function quantile(p) {
  let low = -9, high = 9;
  for (let i = 0; i < 70; i += 1) {
    const middle = (low + high) / 2;
    if (below(middle) < p) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// The two bells of a person: their middles, and one width around these.
function bells({ inside, outside }) {
  const [muIn, muOut] = [mean(inside), mean(outside)];
  const rest = [...inside.map((v) => v - muIn), ...outside.map((v) => v - muOut)];
  const sigma = Math.sqrt(rest.reduce((sum, r) => sum + r * r, 0) / (rest.length - 2));
  return { muIn, muOut, sigma, up: muIn >= muOut ? 1 : -1 };
}

// What the attack says at a false positive rate, by Neyman and Pearson: with one width the ratio grows along phi.
function attack({ muIn, muOut, sigma, up }, phi, fpr) {
  const threshold = muOut + up * quantile(1 - fpr) * sigma;
  return {
    threshold,
    logRatio: ((phi - muOut) ** 2 - (phi - muIn) ** 2) / (2 * sigma ** 2),
    power: below(up * (muIn - threshold) / sigma),
    accused: up * (phi - threshold) > 0,
  };
}

function range(person) {
  const { muIn, muOut, sigma } = bells(person);
  const all = [...person.inside, ...person.outside, person.target, muIn - 3.5 * sigma, muIn + 3.5 * sigma,
    muOut - 3.5 * sigma, muOut + 3.5 * sigma];
  return [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
}

// ---------------------------------------------------------------- words

function percent(share) {
  if (share < 0.0001) return "less than 0.01 %";
  if (share > 0.9999) return "more than 99.99 %";
  return `${Number((100 * share).toFixed(share < 0.01 || share > 0.99 ? 2 : 1))} %`;
}

function times(logRatio) {
  const log = Math.abs(logRatio);
  if (log > Math.log(1e6)) return "more than a million times";
  const ratio = Math.exp(log);
  return `${ratio.toLocaleString("en", { maximumSignificantDigits: 3 })} times`;
}

function sentence(found, fpr) {
  const likely = Math.abs(found.logRatio) < 0.0005 ? "equally likely with the person and without"
    : `${times(found.logRatio)} as likely ${found.logRatio > 0 ? "with the person as without" : "without the person as with"}`;
  return `This answer is ${likely}. At ${percent(fpr)} false positives the attack says: `
    + `${found.accused ? "member" : "not a member"}. So strict, it would find ${percent(found.power)} of the models that were `
    + "trained on the person.";
}

// ---------------------------------------------------------------- drawing

function draw(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function pixels(parent, image) {
  draw(parent, "rect", { width: 8, height: 8, fill: "#000" });
  image.forEach((grey, i) => {
    const level = Math.round(255 * grey / 16);
    if (grey) draw(parent, "rect", { x: i % 8, y: Math.floor(i / 8), width: 1.02, height: 1.02, fill: `rgb(${level},${level},${level})` });
  });
}

function chart(person, { muIn, muOut, sigma, up }, found) {
  const svg = byId("chart"), [low, high] = range(person);
  const across = (phi) => LEFT + (RIGHT - LEFT) * (phi - low) / (high - low);
  const path = (mu, from, to) => {
    const points = Array.from({ length: 161 }, (_, i) => from + (to - from) * i / 160);
    return points.map((phi) => `${across(phi).toFixed(1)},${(BASE - (BASE - TOP) * density((phi - mu) / sigma) / density(0)).toFixed(1)}`);
  };
  svg.replaceChildren();
  const edge = Math.min(high, Math.max(low, found.threshold)), [from, to] = up > 0 ? [edge, high] : [low, edge];
  for (const [mu, kind] of [[muIn, "with"], [muOut, "without"]]) {
    const area = path(mu, from, to);
    draw(svg, "path", { class: `${kind}-area`, d: `M${across(from)},${BASE} L${area.join(" ")} L${across(to)},${BASE} Z` });
  }
  for (const [mu, kind] of [[muIn, "with"], [muOut, "without"]]) draw(svg, "path", { class: kind, d: `M${path(mu, low, high).join(" ")}` });
  draw(svg, "line", { class: "axis", x1: LEFT, x2: RIGHT, y1: BASE, y2: BASE });
  const step = Math.max(1, Math.round((high - low) / 8));
  for (let phi = Math.ceil(low / step) * step; phi <= high; phi += step) {
    draw(svg, "line", { class: "axis", x1: across(phi), x2: across(phi), y1: BASE, y2: BASE + 5 });
    draw(svg, "text", { x: across(phi), y: BASE + 24, "text-anchor": "middle" }, phi);
  }
  for (const phi of person.inside) draw(svg, "circle", { class: "with-dot", cx: across(phi), cy: BASE + 48, r: 6 });
  for (const phi of person.outside) draw(svg, "rect", { class: "without-dot", x: across(phi) - 5, y: BASE + 69, width: 10, height: 10 });
  for (const [kind, x, words] of [["with", 150, "with the person"], ["without", 420, "without the person"]]) {
    draw(svg, "line", { class: kind, x1: x - 70, x2: x - 30, y1: BASE + 105, y2: BASE + 105 });
    if (kind === "with") draw(svg, "circle", { class: "with-dot", cx: x - 14, cy: BASE + 105, r: 6 });
    else draw(svg, "rect", { class: "without-dot", x: x - 19, y: BASE + 100, width: 10, height: 10 });
    draw(svg, "text", { x, y: BASE + 111 }, words);
  }
  draw(svg, "line", { class: "threshold", x1: across(edge), x2: across(edge), y1: TOP - 10, y2: BASE });
  const at = across(state.phi);
  draw(svg, "line", { class: "target", x1: at, x2: at, y1: TOP - 16, y2: BASE });
  draw(svg, "text", { x: at, y: TOP - 22, "text-anchor": at > WIDTH - 90 ? "end" : at < 90 ? "start" : "middle" }, "the target");
}

// ---------------------------------------------------------------- the page

function value(id, text, number) {
  byId(id).textContent = text;
  byId(id).dataset.value = number;
}

function show() {
  const person = BELL_CURVES.people[state.person], of = bells(person);
  const found = attack(of, state.phi, state.fpr), probability = 1 / (1 + Math.exp(-state.phi));
  const [low, high] = range(person), phi = byId("phi"), rate = byId("rate");
  phi.min = low;
  phi.max = high;
  phi.value = state.phi;
  rate.value = Math.log10(state.fpr);
  byId(`person-${state.person}`).checked = true;
  byId("phi-text").textContent = `${state.phi.toFixed(2)} (p = ${percent(probability)})`;
  phi.setAttribute("aria-valuetext", `${state.phi.toFixed(2)}, a probability of ${percent(probability)}`);
  byId("rate-text").textContent = percent(state.fpr);
  rate.setAttribute("aria-valuetext", percent(state.fpr));
  chart(person, of, found);
  byId("seen").textContent = `Person ${state.person + 1}, class ${person.label}. Solid and dots: ${person.inside.length} models with the `
    + `person, the middle at ${of.muIn.toFixed(2)}. Dashed and squares: ${person.outside.length} without, the middle at `
    + `${of.muOut.toFixed(2)}. The width of both is ${of.sigma.toFixed(2)}. Shaded: where the attack accuses.`;
  byId("verdict").textContent = sentence(found, state.fpr);
  value("says", found.accused ? "member" : "not a member", found.accused);
  value("ratio", found.logRatio > Math.log(1e6) ? "above 1,000,000" : found.logRatio < -Math.log(1e6) ? "below 0.000001"
    : Math.exp(found.logRatio).toLocaleString("en", { maximumSignificantDigits: 3 }), found.logRatio);
  value("threshold", `φ ${of.up > 0 ? "above" : "below"} ${found.threshold.toFixed(2)}`, found.threshold);
  value("power", percent(found.power), found.power);
  byId("told").textContent = `The target answered φ = ${person.target.toFixed(2)}, and this person was ${person.member ? "" : "not "}`
    + "a member of its training data.";
}

function keep() {
  const phi = Number(state.phi.toFixed(4)), fpr = Number(state.fpr.toPrecision(4));
  history.replaceState(null, "", `#person=${state.person + 1}&phi=${phi}&fpr=${fpr}`);
}

function choose(person) {
  state.person = person;
  state.phi = BELL_CURVES.people[person].target;
}

// What the address says; what it does not say, or says wrongly, stays as it is.
function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  const number = (key) => (said.get(key) === null || said.get(key).trim() === "" ? NaN : Number(said.get(key)));
  const person = number("person") - 1;
  if (Number.isInteger(person) && person >= 0 && person < BELL_CURVES.people.length) choose(person);
  const [low, high] = range(BELL_CURVES.people[state.person]);
  if (Number.isFinite(number("phi"))) state.phi = Math.min(high, Math.max(low, number("phi")));
  if (Number.isFinite(number("fpr"))) state.fpr = Math.min(0.5, Math.max(0.001, number("fpr")));
  show();
}

BELL_CURVES.people.forEach((person, i) => {
  const label = document.createElement("label"), input = document.createElement("input");
  input.type = "radio";
  input.name = "person";
  input.id = `person-${i}`;
  input.setAttribute("aria-label", `Person ${i + 1}, class ${person.label}`);
  input.addEventListener("change", () => { choose(i); show(); keep(); });
  label.append(input);
  pixels(draw(label, "svg", { viewBox: "0 0 8 8", "aria-hidden": "true" }), person.image);
  label.append(String(i + 1));
  byId("people").append(label);
});
byId("phi").addEventListener("input", (event) => { state.phi = Number(event.target.value); show(); });
byId("rate").addEventListener("input", (event) => { state.fpr = 10 ** Number(event.target.value); show(); });
for (const id of ["phi", "rate"]) byId(id).addEventListener("change", keep);
byId("own").addEventListener("click", () => { choose(state.person); show(); keep(); });
byId("truth").addEventListener("click", (event) => {
  byId("told").hidden = !byId("told").hidden;
  event.target.setAttribute("aria-expanded", String(!byId("told").hidden));
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("source").textContent = `Twelve of ${BELL_CURVES.of.toLocaleString("en")} small scans of digits (UCI), asked of networks of notebook 0, seed `
  + `${BELL_CURVES.seed}, as committed in ${BELL_CURVES.commit.slice(0, 10)}.`;
choose(0);
read();
byId("controls").hidden = false;
window.addEventListener("hashchange", read);
