// --- GDP over the years, each vintage's own year, and revisions of a year: of one country or several ---
// A country's figures[series][year] is a flat list: the place of a day, the figure that was published from that day on,
// or null where it was no longer published, and so on; a negative number after a figure is -1 less the place of its
// remark in data.remarks: its Note, whether it is a projection, and whether a check flagged it.

const MOST_LINES = 8; // as many colours can be distinguished
const MOST_FOUND = 40; // in the list below the field
const MOST_ON_PAPER = 80; // rows of a table, as in report.css
const SEVERAL_YEARS = 2;
const VINTAGES_VIEW = "vintages"; // and "" for years, "2025" for the revisions of a year
const NEWEST = "";
const state = { codes: [], view: "", by: "", of: NEWEST, scale: "linear" };
let shown = { chart: null, drawn: null, estimates: [] };

/** The figures of a flat list: from which place of a day until which (undefined: current), with Note and kind. */
function figuresIn(flat) {
  const found = [];
  for (let i = 0; i < flat.length; i += 2) {
    const last = found.at(-1);
    if (last && last.until === undefined) last.until = flat[i];
    if (flat[i + 1] !== null) found.push({ from: flat[i], figure: flat[i + 1], note: "", projection: false, flagged: false });
    if (flat[i + 2] < 0) {
      const [note, projection, flagged] = data.remarks[-1 - flat[i + 2]];
      Object.assign(found.at(-1), { note, projection: Boolean(projection), flagged: Boolean(flagged) });
      i += 1;
    }
  }
  return found;
}

const figuresByCode = new Map(); // read when a country is chosen

/** The figures of a country by series number and year: Maps of lists. */
function figuresOf(code) {
  if (!figuresByCode.has(code)) figuresByCode.set(code, readFigures(code));
  return figuresByCode.get(code);
}

function readFigures(code) {
  const bySeries = Object.entries(countries.get(code)?.figures ?? {}).map(([number, years]) => [Number(number), new Map(
    Object.entries(years).map(([year, flat]) => [Number(year), figuresIn(flat)]))]);
  if (releaseOf.has(code)) bySeries.push([releaseNumber, figuresOfRelease(releaseOf.get(code))]);
  return new Map(bySeries);
}

// the bundled IMF release is one more series, of one vintage
const releaseOf = new Map(Object.entries(data.release?.countries ?? {}));
const releaseNumber = data.release ? data.series.push({ ...data.release, vintages: [data.days.length] }) - 1 : undefined;
if (data.release) data.days.push(data.release.day);

function figuresOfRelease([first, lastActual, ...figures]) {
  const last = lastActual ?? Number(data.release.day.slice(0, 4)) - 1;
  const [from] = data.series[releaseNumber].vintages;
  const known = figures.map((figure, place) => [first + place, figure]).filter(([, figure]) => figure !== null);
  return new Map(known.map(([year, figure]) => [year, [{ from, figure, note: "", projection: year > last, flagged: false }]]));
}

// --- series, and their vintages ---

const seriesOf = (code) => [...figuresOf(code).keys()];
const yearsOf = (code, number) => [...(figuresOf(code).get(number)?.keys() ?? [])].sort((a, b) => a - b);
const dayOf = (place) => (place === undefined ? undefined : data.days[place]);
const isCurrentAt = (one, place) => one.from <= place && (one.until === undefined || one.until > place);

/** The figures of a country in one vintage of a series, by year. */
function vintageOf(code, number, place) {
  const years = figuresOf(code).get(number) ?? new Map();
  return yearsOf(code, number).map((year) => {
    const figure = years.get(year).find((one) => isCurrentAt(one, place));
    return figure && { ...figure, code, number, year };
  }).filter(Boolean);
}

const longVintagesOf = new Map(); // by series and countries

/** The places of a series' vintages that have several years of one of the chosen countries, the newest first. */
function longVintages(number) {
  const key = [number, ...state.codes].join();
  const isLong = (place) => state.codes.some((code) => vintageOf(code, number, place).length >= SEVERAL_YEARS);
  if (!longVintagesOf.has(key)) longVintagesOf.set(key, data.series[number].vintages.filter(isLong).reverse());
  return longVintagesOf.get(key);
}

/** The series of the chosen countries that the view can show, in the order of the institutions. */
function availableSeries() {
  const known = [...new Set(state.codes.flatMap(seriesOf))].sort((a, b) => a - b);
  return state.view ? known : known.filter((number) => longVintages(number).length);
}

/** The series that are shown: the chosen one, or of each institution the one with the newest vintage. */
function shownSeries() {
  const available = availableSeries();
  const chosen = available.find((number) => data.series[number].key === state.by);
  if (chosen !== undefined) return [chosen];
  if (state.view) return state.codes.length > 1 ? available.slice(0, 1) : available;
  const newest = new Map();
  for (const number of available) {
    const { institution } = data.series[number];
    const before = newest.get(institution);
    if (before === undefined || dayOf(longVintages(number)[0]) >= dayOf(longVintages(before)[0])) newest.set(institution, number);
  }
  return state.codes.length > 1 ? [...newest.values()].slice(0, 1) : [...newest.values()];
}

// --- lines ---

/** The place of the vintage that a chart of years shows of a series. */
function shownVintage(number) {
  const places = longVintages(number);
  return places.find((place) => dayOf(place) === state.of) ?? places[0];
}

/** Each line that is chosen, with its estimates. */
function chosenLines() {
  const numbers = shownSeries();
  const line = (code, place, number) => {
    const series = data.series[number];
    const estimates = estimatesOf(code, number);
    if (state.codes.length > 1) return { series, number, estimates, name: nameOf(code), colour: `line-${place}` };
    const others = numbers.filter((other) => other < number && data.series[other].institution === series.institution);
    return { series, number, estimates, name: nameOfLine(number), colour: series.colour, dash: others.length ? "2 3" : "none" };
  };
  const lines = state.codes.flatMap((code, place) => numbers.map((number) => line(code, place, number)));
  return lines.filter(({ estimates }) => estimates.length);
}

function nameOfLine(number) {
  const { name } = data.series[number];
  return state.view ? name : `${name}, published ${dayOf(shownVintage(number)).slice(0, 10)}`;
}

function estimatesOf(code, number) {
  if (state.view === VINTAGES_VIEW) return ownYears(code, number);
  if (!state.view) return vintageOf(code, number, shownVintage(number));
  const all = figuresOf(code).get(number)?.get(Number(state.view)) ?? [];
  const lastUnflagged = (place) => all.slice(0, place).findLast((one) => !one.flagged);
  return all.map((one, place) => ({ ...one, code, number, year: Number(state.view), before: lastUnflagged(place) }));
}

/** Of each vintage the figure for its own year: the year of its day, else the nearest before, else after. */
function ownYears(code, number) {
  const found = data.series[number].vintages.map((place) => {
    const year = Number(dayOf(place).slice(0, 4));
    const figures = vintageOf(code, number, place);
    const own = figures.findLast((one) => one.year <= year) ?? figures[0];
    return own && { ...own, vintage: place };
  });
  return found.filter(Boolean);
}

const momentOf = (place) => new Date(dayOf(place)).getTime();

function chartOf(lines) {
  const kind = state.view === VINTAGES_VIEW ? "vintages" : state.view ? "revisions" : "years";
  const endOf = ({ number, until }) => momentOf(until ?? data.series[number].vintages.at(-1)); // its last vintage, not today
  const point = (one) => ({ y: one.figure, note: one.note, flagged: one.flagged, projection: one.projection, year: one.year, ...{
    years: () => ({ x: one.year }),
    vintages: () => ({ x: momentOf(one.vintage) }),
    revisions: () => ({ x: momentOf(one.from), until: Math.max(endOf(one), momentOf(one.from)) }),
  }[kind]() });
  const titles = {
    years: "GDP by year", vintages: "each vintage's figure for its own year",
    revisions: `GDP for ${state.view}, by day of publication`,
  };
  const [first] = lines;
  const whose = state.codes.length > 1 ? (first ? nameOfLine(first.number) : "") : nameOf(state.codes[0]);
  const sources = [...new Set(lines.map((line) => nameOfLine(line.number)))].join("; ");
  return {
    kind, log: state.scale === "log", title: `${whose}: ${titles[kind]}`,
    caption: `Nominal, current US dollars. Source: ${sources || "none"}`,
    lines: lines.map((line) => ({ ...line, points: line.estimates.map(point) })),
  };
}

// --- drawing and describing ---

function show() {
  const width = Math.max(byId("chart").clientWidth, 300); // before changes, so that the page is laid out once
  showChoices();
  const lines = chosenLines();
  const chart = chartOf(lines);
  const drawn = drawChart(chart, width);
  byId("chart").replaceChildren(drawn.made);
  const last = lines.map((line) => `${line.name} ${withCommas(line.estimates.at(-1).figure / drawn.unit.of)}`);
  const words = `${chart.title}, in ${drawn.unit.name}; last: ${last.join(", ") || "no figure"}`;
  byId("chart").setAttribute("aria-label", `${words}. Arrow keys, Home and End go along it; the table below has every figure.`);
  shown = { chart, drawn, estimates: lines.flatMap((line) => line.estimates), at: -1 };
  const missing = state.codes.filter((code) => !shown.estimates.some((one) => one.code === code)).map(nameOf);
  const hint = lines.length ? "Point at the chart, or go along it with the arrow keys, to see its figures." : "";
  byId("chart-description").textContent = [missing.length ? `No figure in this view: ${missing.join(", ")}.` : "", hint].join(" ").trim();
  listEstimates();
}

function describeAt(x) {
  const { chart, drawn } = shown;
  const isAt = (point) => (point.until === undefined ? point.x === x : point.x <= x && (x < point.until || point.x === x));
  const figures = chart.lines.map(({ name, points }) => [name, points.findLast(isAt)]).filter(([, point]) => point);
  const words = figures.map(([name, { y, note, projection, year }]) => {
    const forYear = chart.kind === "vintages" ? ` for ${year}` : "";
    const kind = projection ? " (projection)" : "";
    return `${name}${forYear} ${withCommas(y / drawn.unit.of, drawn.unit.of > 1 ? 3 : 2)}${kind}${note ? ` (note: ${note})` : ""}`;
  });
  drawn.pointAt(x);
  byId("chart-description").textContent = `${chart.kind === "years" ? x : shownDay(x)}, ${drawn.unit.name}: ${words.join("; ")}`;
}

const stops = () => [...new Set(shown.chart.lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);

function pointAtChart(event) {
  const xs = stops();
  if (!xs.length) return;
  const pixel = (event.clientX - shown.drawn.made.getBoundingClientRect().x);
  const distance = (x) => Math.abs(shown.drawn.x.at(x) - pixel);
  describeAt(xs.reduce((best, x) => (distance(x) < distance(best) ? x : best)));
}

function goAlong(event) {
  const xs = stops();
  const place = placeAfterKey(event.key, shown.at, xs.length);
  if (place === undefined || !xs.length) return;
  event.preventDefault();
  shown.at = place;
  describeAt(xs[place]);
}

function revised({ before, figure }) {
  if (!before?.figure) return "";
  const percent = ((figure / before.figure - 1) * 100).toFixed(2);
  if (Number(percent) === 0) return "unchanged";
  return `${percent > 0 ? "+" : ""}${percent} %`;
}

function listEstimates() {
  const classes = ["", "", "number", "", "whole", "whole", "number", "number revised", "note"];
  const rows = shown.estimates.map((one) => [
    element("a", { href: addressOf(one.code) }, nameOf(one.code)), data.series[one.number].name, String(one.year),
    one.projection ? "projection" : "estimate", dayOf(one.vintage ?? one.from).slice(0, 10), (dayOf(one.until) ?? "now").slice(0, 10),
    withCommas(one.figure), revised(one), one.note]);
  const cells = (row) => row.map((content, column) => element("td", classes[column] ? { class: classes[column] } : {}, content));
  byId("estimates").tBodies[0].replaceChildren(...rows.map((row) => element("tr", {}, ...cells(row))));
  const hasRevisions = state.view !== "" && state.view !== VINTAGES_VIEW;
  byId("estimates").querySelectorAll(".revised").forEach((cell) => { cell.hidden = !hasRevisions; });
  byId("estimates-shortened").hidden = rows.length <= MOST_ON_PAPER;
  byId("estimates-shortened").textContent =
    `On paper: the first ${MOST_ON_PAPER} of ${rows.length} figures. The page on a screen has all of them.`;
}

// --- choices ---

function showChoices() {
  const numbers = shownSeries();
  const known = state.codes.flatMap(seriesOf);
  const years = [...new Set(state.codes.flatMap((code) => [...new Set(known)].flatMap((number) => yearsOf(code, number))))].sort((a, b) => b - a);
  const views = [["", "GDP by year, one vintage"], [VINTAGES_VIEW, "each vintage's own year"], ...years.map((year) => [String(year), `revisions of ${year}`])];
  setOptions(byId("view-picker"), views, state.view);
  const available = availableSeries();
  const named = available.map((number) => [data.series[number].key, data.series[number].name]);
  const all = state.codes.length > 1 ? [] : [["", "each institution, side by side"]];
  const isOne = state.codes.length > 1 || available.some((number) => data.series[number].key === state.by);
  setOptions(byId("series-picker"), [...all, ...named], isOne && numbers.length ? data.series[numbers[0]].key : "");
  const days = numbers.length === 1 && !state.view ? longVintages(numbers[0]).map(dayOf) : [];
  byId("vintage-label").hidden = !days.length;
  setOptions(byId("vintage-picker"), days.map((day) => [day, day.slice(0, 10)]), days.includes(state.of) ? state.of : days[0]);
  byId("scale-picker").value = state.scale;
  const removers = state.codes.map((code) => [code, { type: "button", "data-remove": code, "aria-label": `Remove ${nameOf(code)}` }]);
  byId("chosen").replaceChildren(...removers.map(([code, attributes]) => element("li", {}, element("button", attributes, nameOf(code)))));
}

function choose(changes) {
  Object.assign(state, changes);
  if (!state.codes.length) state.codes = [rowOf.keys().next().value ?? countries.keys().next().value];
  keepChoices();
  show();
}

function keepChoices() {
  const { codes, view, by, of, scale } = state;
  const isYear = view !== "" && view !== VINTAGES_VIEW;
  keepInAddress({
    country: codes, view: isYear ? "" : view, year: isYear ? view : "", by, of, scale: scale === "linear" ? "" : scale });
}

/** Take what the address has of the chart; return whether it names a country. */
function readChoices() {
  const isKnown = (code) => countries.has(code) || mapShapes.has(code);
  const codes = (address.get("country") ?? []).map((code) => (isKnown(code) ? code : search(code)[0])).filter(isKnown);
  if (!codes.length) return false;
  const year = address.get("year") ?? "";
  const view = /^\d{4}$/.test(year) ? year : address.get("view") === VINTAGES_VIEW ? VINTAGES_VIEW : "";
  const scale = address.get("scale") === "log" ? "log" : "linear";
  Object.assign(state, {
    codes: [...new Set(codes)].slice(0, MOST_LINES), view, by: address.get("by") ?? "", of: address.get("of") ?? NEWEST, scale });
  return true;
}

const add = (code) => choose({ codes: [...new Set([...state.codes, code])].slice(-MOST_LINES) });

/** The field that finds a country by any name, with a list below it. */
function readyPicker() {
  const [input, list] = [byId("country-input"), byId("country-list")];
  let at = 0; // the marked item of the list
  const mark = (place) => {
    at = (place + list.children.length) % list.children.length;
    [...list.children].forEach((item, other) => item.setAttribute("aria-selected", other === at));
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const open = (isOpen) => {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", isOpen);
    if (isOpen) mark(0);
    else input.removeAttribute("aria-activedescendant");
  };
  const find = () => {
    const codes = search(input.value).filter((code) => !state.codes.includes(code)).slice(0, MOST_FOUND);
    list.replaceChildren(...codes.map((code, place) =>
      element("li", { role: "option", id: `found-${place}`, "data-code": code }, `${nameOf(code)} (${code})`)));
    open(codes.length > 0);
  };
  const take = (item) => {
    if (!item) return;
    add(item.dataset.code);
    input.value = "";
    open(false);
  };
  const press = new Map([
    ["ArrowDown", () => mark(at + 1)], ["ArrowUp", () => mark(at - 1)],
    ["Enter", () => take(list.children[at])], ["Escape", () => open(false)]]);
  input.addEventListener("input", find);
  input.addEventListener("focus", find);
  input.addEventListener("blur", () => open(false));
  input.addEventListener("keydown", (event) => {
    if (!press.has(event.key)) return;
    event.preventDefault();
    if (list.hidden && event.key !== "Escape") find();
    else if (!list.hidden) press.get(event.key)();
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the field stays in focus
    take(event.target.closest("li"));
  });
}

// --- files of what is shown ---

const COLUMNS = ["Country", "ISO3", "Institution", "Publisher", "Year", "As_of", "Until", "GDP_USD_billion", "Status", "Note"];

function csvFile() {
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text); // no spreadsheet may take a name for a formula
  const cell = (value) => (typeof value === "number" ? String(value) : `"${safe(String(value ?? "")).replaceAll('"', '""')}"`);
  const rows = shown.estimates.map((one) => {
    const series = data.series[one.number];
    const code = /^[A-Z]{3}$/.test(one.code) ? one.code : "";
    const figure = [one.year, dayOf(one.from), dayOf(one.until), one.figure, one.projection ? "projection" : "estimate", one.note];
    return [nameOf(one.code), code, series.institution, series.publisher, ...figure].map(cell).join(",");
  });
  return `${[COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

function save(content, type, ending) {
  const name = ["gdp", ...state.codes.map((code) => code.replace(/\W+/g, "-")), state.view].filter(Boolean).join("_");
  const url = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: url, download: `${name}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// --- the start ---

function followAddress() {
  readAddress();
  showFilters();
  showMapOfAddress();
  if (!readChoices()) return false;
  show();
  byId("years").scrollIntoView();
  return true;
}

/** Go to a country's chart, and give it the focus: who pressed Enter goes on there. */
function leadTo(link) {
  const rest = ADDRESS_NAMES.slice(ADDRESS_NAMES.indexOf("name")).filter((name) => address.has(name));
  history.pushState(null, "", [link, ...rest.map((name) => `${name}=${encodeURIComponent(address.get(name))}`)].join("&"));
  if (followAddress()) byId("chart").focus({ preventScroll: true });
}

function readyYears() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#country=']");
    if (!link) return;
    event.preventDefault();
    leadTo(link.getAttribute("href"));
  });
  byId("view-picker").addEventListener("input", (event) => choose({ view: event.target.value }));
  byId("series-picker").addEventListener("input", (event) => choose({ by: event.target.value, of: NEWEST }));
  byId("vintage-picker").addEventListener("input", (event) => choose({ of: event.target.value }));
  byId("scale-picker").addEventListener("input", (event) => choose({ scale: event.target.value }));
  byId("chosen").addEventListener("click", (event) => {
    const code = event.target.dataset.remove;
    if (code !== undefined && state.codes.length > 1) choose({ codes: state.codes.filter((other) => other !== code) });
  });
  byId("chart").addEventListener("pointermove", pointAtChart);
  byId("chart").addEventListener("pointerdown", pointAtChart);
  byId("chart").addEventListener("keydown", goAlong);
  byId("save-csv").addEventListener("click", () => save(csvFile(), "text/csv;charset=utf-8", "csv"));
  byId("save-svg").addEventListener("click", () => save(svgFile(shown.drawn.made), "image/svg+xml", "svg"));
  readyPicker();
  addEventListener("hashchange", () => { if (location.hash.includes("=")) followAddress(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; show(); } });
  if (!followAddress()) {
    state.codes = [...rowOf.keys()].slice(0, 5);
    show();
  }
}

if (countries.size) readyYears();
