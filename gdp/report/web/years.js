// --- GDP over the years, and what was said of a year when: of one country or several, by one institution or each ---
// past.countries[code].said[series][year] is a flat list: the place of a day, the figure that was said from then on, or
// null where nothing was said any more, and so on; a negative number tells of the figure before it: -1 - place of its Note.

const MOST_LINES = 8; // as many colours are told apart
const MOST_FOUND = 40; // in the list beneath the field
const LAST_SAID = "last";
const DASHES = ["", "7 4", "2 3", "9 3 2 3"]; // of an institution's publishers
const state = { countries: [], year: "", by: "", of: LAST_SAID, scale: "linear" };
let shown = { chart: null, drawn: null, estimates: [] };

/** What was said of a year: from which place of a day until which (none: it stands), what, and with what Note. */
function said(flat) {
  const found = [];
  for (let i = 0; i < flat.length; i += 1) {
    if (flat[i] < 0 && i > 1) found.at(-1).note = past.notes[-1 - flat[i]];
    else {
      if (found.length && found.at(-1).until === undefined) found.at(-1).until = flat[i];
      if (flat[i + 1] !== null) found.push({ from: flat[i], figure: flat[i + 1] });
      i += 1;
    }
  }
  return found;
}

// --- what is chosen, and the address that keeps it ---

const seriesOf = (code) => Object.keys(past.countries[code].said).map(Number);

function chosenSeries() {
  const spoken = [...new Set(state.countries.flatMap(seriesOf))].sort((a, b) => a - b);
  const named = spoken.find((number) => past.series[number].key === state.by);
  if (named !== undefined) return [named];
  return state.countries.length > 1 ? spoken.slice(0, 1) : spoken;
}

function readAddress() {
  const told = Object.fromEntries(location.hash.slice(1).split("&").map((part) => part.split("=")));
  if (!told.country) return false;
  const plain = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const codes = told.country.split(",").map(plain).map((code) => (past.countries[code] ? code : called(code)[0]));
  const countries = [...new Set(codes.filter((code) => past.countries[code]))].slice(0, MOST_LINES);
  if (!countries.length) return false;
  const scale = told.scale === "log" ? "log" : "linear";
  const [by, of] = [plain(told.by ?? ""), plain(told.of ?? LAST_SAID)];
  Object.assign(state, { countries, year: told.year ?? "", by, of, scale });
  return true;
}

function keepAddress() {
  const parts = [`country=${state.countries.map(encodeURIComponent).join(",")}`];
  if (state.year) parts.push(`year=${state.year}`);
  if (state.by) parts.push(`by=${encodeURIComponent(state.by)}`);
  if (state.of !== LAST_SAID) parts.push(`of=${encodeURIComponent(state.of)}`);
  if (state.scale !== "linear") parts.push(`scale=${state.scale}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
}

// --- the lines ---

const yearsOf = (code, number) => Object.keys(past.countries[code].said[number] ?? {}).map(Number).sort((a, b) => a - b);
const dayOf = (place) => (place === undefined ? undefined : past.days[place]);

/** Each line that is chosen, with its estimates: those of every year, or every one of a year. */
function chosenLines() {
  const numbers = chosenSeries();
  const line = (code, place, number) => {
    const series = past.series[number];
    const told = { series, estimates: estimatesOf(code, number) };
    if (state.countries.length > 1) return { ...told, name: nameOf(code), colour: `line-${place}`, dash: "" };
    const others = past.series.slice(0, number).filter((other) => other.institution === series.institution);
    return { ...told, name: series.name, colour: series.colour, dash: DASHES[others.length % DASHES.length] };
  };
  const lines = state.countries.flatMap((code, place) => numbers.map((number) => line(code, place, number)));
  return lines.filter(({ estimates }) => estimates.length);
}

function estimatesOf(code, number) {
  const byYear = past.countries[code].said[number] ?? {};
  const whole = (year) => said(byYear[year]).map((one, place, all) => ({ ...one, code, number, year, before: all[place - 1] }));
  if (state.year) return Object.hasOwn(byYear, state.year) ? whole(Number(state.year)) : [];
  const at = past.days.indexOf(state.of);
  const stood = (one) => at < 0 || (one.from <= at && (one.until === undefined || one.until > at));
  return yearsOf(code, number).map((year) => whole(year).findLast(stood)).filter(Boolean);
}

function chartOf(lines) {
  const moment = (place) => new Date(past.days[place]).getTime();
  const now = Math.max(Date.now(), moment(past.days.length - 1) + DAY_MS); // what stands, stands until today
  const point = ({ year, from, until, figure, note }) => (state.year
    ? { x: moment(from), until: until === undefined ? now : moment(until), y: figure, note }
    : { x: year, y: figure, note, ahead: year > Number(dayOf(from).slice(0, 4)) });
  const asOf = state.of === LAST_SAID ? "as last said of each" : `as of ${state.of.slice(0, 10)}`;
  const what = state.year ? `GDP for ${state.year} as estimated from time to time` : `GDP by year, ${asOf}`;
  const whose = state.countries.length > 1 ? (lines[0]?.series.name ?? "") : nameOf(state.countries[0]);
  return {
    kind: state.year ? "days" : "years", log: state.scale === "log", title: `${whose}: ${what}`,
    caption: `Nominal, current US dollars. Source: ${[...new Set(lines.map((line) => line.series.name))].join(", ")}`,
    lines: lines.map((line) => ({ ...line, points: line.estimates.map(point) })),
  };
}

// --- drawing and telling ---

function show() {
  const width = Math.max(byId("chart").clientWidth, 300); // before anything is changed, which would be laid out once more
  keepAddress();
  offer();
  const lines = chosenLines();
  const chart = chartOf(lines);
  const drawn = drawChart(chart, width);
  byId("chart").replaceChildren(drawn.made);
  const last = lines.map((line) => `${line.name} ${withCommas(line.estimates.at(-1).figure / drawn.unit.of)}`);
  const told = `${chart.title}, in ${drawn.unit.name}; last: ${last.join(", ") || "nothing was said"}`;
  byId("chart").setAttribute("aria-label", `${told}. Arrow keys go along it; the table below has every figure.`);
  shown = { chart, drawn, estimates: lines.flatMap((line) => line.estimates), at: -1 };
  byId("chart-tells").textContent = lines.length
    ? "Point at the chart, or go along it with the arrow keys, to see its figures."
    : "Nobody whose figures are loaded said anything of that.";
  listEstimates();
}

function tellAt(x) {
  const { chart, drawn } = shown;
  const stands = (point) => (point.until === undefined ? point.x === x : point.x <= x && x < point.until);
  const figures = chart.lines.map(({ name, points }) => [name, points.findLast(stands)]).filter(([, point]) => point);
  const told = figures.map(([name, { y, note }]) =>
    `${name} ${withCommas(y / drawn.unit.of, drawn.unit.of > 1 ? 3 : 2)}${note ? ` (in doubt: ${note})` : ""}`);
  drawn.pointAt(x);
  byId("chart-tells").textContent = `${chart.kind === "years" ? x : shownDay(x)}, ${drawn.unit.name}: ${told.join("; ")}`;
}

const stops = () => [...new Set(shown.chart.lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);

function pointAtChart(event) {
  const xs = stops();
  if (!xs.length) return;
  const pixel = (event.clientX - shown.drawn.made.getBoundingClientRect().x);
  const distance = (x) => Math.abs(shown.drawn.x.at(x) - pixel);
  tellAt(xs.reduce((best, x) => (distance(x) < distance(best) ? x : best)));
}

function goAlong(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const xs = stops();
  if (!step || !xs.length) return;
  event.preventDefault();
  shown.at = Math.min(Math.max(shown.at < 0 && step < 0 ? xs.length - 1 : shown.at + step, 0), xs.length - 1);
  tellAt(xs[shown.at]);
}

function revised({ before, figure }) {
  if (!before?.figure || !state.year) return "";
  const percent = (figure / before.figure - 1) * 100;
  return `${percent < 0 ? "" : "+"}${percent.toFixed(2)} %${before.note ? " of a figure in doubt" : ""}`;
}

function listEstimates() {
  const kinds = ["", "", "number", "whole", "whole", "number", "number revised", "note"];
  const rows = shown.estimates.map((one) => [
    element("a", { href: addressOf(one.code) }, nameOf(one.code)), past.series[one.number].name, String(one.year),
    dayOf(one.from).slice(0, 10), (dayOf(one.until) ?? "now").slice(0, 10), withCommas(one.figure), revised(one), one.note ?? ""]);
  const cells = (row) => row.map((content, column) => element("td", kinds[column] ? { class: kinds[column] } : {}, content));
  byId("estimates").tBodies[0].replaceChildren(...rows.map((row) => element("tr", {}, ...cells(row))));
  byId("estimates").querySelectorAll(".revised").forEach((cell) => { cell.hidden = !state.year; });
}

// --- what can be chosen ---

const flatSet = (lists) => [...new Set(lists.flat())];
const descending = (one, other) => (one < other ? 1 : -1);

function offer() {
  const { countries } = state;
  const chosen = chosenSeries();
  const each = (tell) => flatSet(countries.flatMap((code) => chosen.map((number) => tell(code, number))));
  const years = each(yearsOf).sort(descending);
  options(byId("show-picker"), [["", "GDP over the years"], ...years.map((year) => [year, `what was said of ${year}`])], state.year);
  const spoken = flatSet(countries.map(seriesOf)).sort((one, other) => one - other);
  const sideBySide = countries.length > 1 ? [] : [["", "each institution, side by side"]];
  const named = spoken.map((number) => [past.series[number].key, past.series[number].name]);
  options(byId("by-picker"), [...sideBySide, ...named], countries.length > 1 || state.by ? past.series[chosen[0]].key : "");
  const began = (code, number) => Object.values(past.countries[code].said[number] ?? {}).flatMap(said).map((one) => dayOf(one.from));
  const days = each(began).sort(descending).map((day) => [day, day.slice(0, 10)]);
  if (!days.some(([day]) => day === state.of)) state.of = LAST_SAID;
  options(byId("of-picker"), [[LAST_SAID, "the last said of each year"], ...days], state.of);
  byId("of-label").hidden = Boolean(state.year);
  byId("scale-picker").value = state.scale;
  const outs = countries.map((code) => ({ type: "button", "data-out": code, "aria-label": `Take out ${nameOf(code)}` }));
  byId("chosen").replaceChildren(...outs.map((out) => element("li", {}, element("button", out, nameOf(out["data-out"])))));
}

function choose(changes) {
  Object.assign(state, changes);
  if (!state.countries.length) state.countries = [Object.keys(rowOf)[0] ?? Object.keys(past.countries)[0]];
  show();
}

const add = (code) => choose({ countries: [...new Set([...state.countries, code])].slice(-MOST_LINES) });

/** The field that finds a country by any name, with a list beneath it. */
function readyPicker() {
  const [input, list] = [byId("country-input"), byId("country-list")];
  let at = 0; // which of the list is marked
  const mark = (place) => {
    at = (place + list.children.length) % list.children.length;
    [...list.children].forEach((item, other) => item.setAttribute("aria-selected", other === at));
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const show = (open) => {
    list.hidden = !open;
    input.setAttribute("aria-expanded", open);
    if (open) mark(0);
    else input.removeAttribute("aria-activedescendant");
  };
  const find = () => {
    const codes = called(input.value).filter((code) => !state.countries.includes(code)).slice(0, MOST_FOUND);
    list.replaceChildren(...codes.map((code, place) =>
      element("li", { role: "option", id: `found-${place}`, "data-code": code }, `${nameOf(code)} (${code})`)));
    show(codes.length > 0);
  };
  const take = (item) => {
    if (!item) return;
    add(item.dataset.code);
    input.value = "";
    show(false);
  };
  const press = {
    ArrowDown: () => mark(at + 1), ArrowUp: () => mark(at - 1),
    Enter: () => take(list.children[at]), Escape: () => show(false),
  };
  input.addEventListener("input", find);
  input.addEventListener("focus", find);
  input.addEventListener("blur", () => show(false));
  input.addEventListener("keydown", (event) => {
    if (!press[event.key]) return;
    event.preventDefault();
    if (list.hidden && event.key !== "Escape") find();
    else if (!list.hidden) press[event.key]();
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the field stays in focus
    take(event.target.closest("li"));
  });
}

// --- what is shown, to take along ---

const COLUMNS = ["Country", "ISO3", "Institution", "Publisher", "Year", "As_of", "Until", "GDP_USD_billion", "Note"];

function csvFile() {
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text); // a spreadsheet must not take a name for a formula
  const cell = (value) => (typeof value === "number" ? String(value) : `"${safe(String(value ?? "")).replaceAll('"', '""')}"`);
  const rows = shown.estimates.map((one) => {
    const series = past.series[one.number];
    const code = /^[A-Z]{3}$/.test(one.code) ? one.code : "";
    const said = [one.year, dayOf(one.from), dayOf(one.until), one.figure, one.note];
    return [nameOf(one.code), code, series.institution, series.publisher, ...said].map(cell).join(",");
  });
  return `${[COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

function save(content, kind, ending) {
  const name = ["gdp", ...state.countries.map((code) => code.replace(/\W+/g, "-")), state.year].filter(Boolean).join("_");
  const address = URL.createObjectURL(new Blob([content], { type: kind }));
  element("a", { href: address, download: `${name}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// --- to begin with ---

function followAddress() {
  if (!readAddress()) return false;
  show();
  byId("years").scrollIntoView();
  return true;
}

function leadTo(address) {
  history.pushState(null, "", address);
  followAddress();
}

function readyYears() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#country=']");
    if (!link) return;
    event.preventDefault();
    leadTo(link.getAttribute("href"));
  });
  byId("show-picker").addEventListener("input", (event) => choose({ year: event.target.value }));
  byId("by-picker").addEventListener("input", (event) => choose({ by: event.target.value }));
  byId("of-picker").addEventListener("input", (event) => choose({ of: event.target.value }));
  byId("scale-picker").addEventListener("input", (event) => choose({ scale: event.target.value }));
  byId("chosen").addEventListener("click", (event) => {
    const out = event.target.dataset.out;
    if (out !== undefined && state.countries.length > 1) choose({ countries: state.countries.filter((code) => code !== out) });
  });
  byId("chart").addEventListener("pointermove", pointAtChart);
  byId("chart").addEventListener("pointerdown", pointAtChart);
  byId("chart").addEventListener("keydown", goAlong);
  byId("save-csv").addEventListener("click", () => save(csvFile(), "text/csv;charset=utf-8", "csv"));
  byId("save-svg").addEventListener("click", () => save(svgFile(shown.drawn.made), "image/svg+xml", "svg"));
  readyPicker();
  addEventListener("hashchange", followAddress);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; show(); } });
  if (!followAddress()) {
    const address = location.href; // nothing is chosen yet, so nothing is to be kept
    choose({ countries: Object.keys(rowOf).slice(0, 5) });
    history.replaceState(null, "", address);
  }
}

if (Object.keys(past.countries).length) readyYears();
