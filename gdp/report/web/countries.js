// --- what all parts share ---

const byId = (id) => document.getElementById(id);
const withCommas = (figure, digits = 2) =>
  figure.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
// Maps everywhere: a country may be called "constructor"
const data = JSON.parse(byId("series").textContent);
const countries = new Map(Object.entries(data.countries)); // years.js describes a country's figures
const countryTable = byId("country-table");
const rowOf = new Map([...countryTable.tBodies[0].rows].map((row) => [row.dataset.code, row]));
const mapSvg = document.querySelector("#map svg");
const mapShapes = new Map(); // by code
for (const shape of mapSvg.querySelectorAll("[data-code]")) {
  mapShapes.set(shape.dataset.code, [...(mapShapes.get(shape.dataset.code) ?? []), shape]);
}
const mapTextOf = (code) => mapShapes.get(code)?.[0].querySelector("title").textContent;

function nameOf(code) {
  const inTable = rowOf.get(code)?.querySelector(".name").textContent;
  return countries.get(code)?.name ?? inTable ?? mapTextOf(code)?.split(": ")[0] ?? code;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function setOptions(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
  select.value = chosen;
}

// --- the address keeps what is chosen ---

const ADDRESS_NAMES = [
  "country", "view", "year", "by", "of", "scale", "name", "region", "size", "sort", "map", "area"];
const address = new Map(); // by one of those names: a text, or of country a list of codes
const addressOf = (code) => `#country=${encodeURIComponent(code)}`;

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readAddress() {
  address.clear();
  for (const part of location.hash.slice(1).split("&")) {
    const [name, value] = part.split("=");
    if (!value || !ADDRESS_NAMES.includes(name)) continue;
    address.set(name, name === "country" ? value.split(",").map(decoded) : decoded(value));
  }
}

/** Put values into the address; an empty one leaves it. */
function keepInAddress(values) {
  for (const [name, value] of Object.entries(values)) {
    if (value?.length) address.set(name, value);
    else address.delete(name);
  }
  const encoded = (value) => [value].flat().map(encodeURIComponent).join(",");
  const parts = ADDRESS_NAMES.filter((name) => address.has(name)).map((name) => `${name}=${encoded(address.get(name))}`);
  history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.href.split("#")[0]);
}

// --- the age of the data, today ---

function showAge() {
  const days = Math.floor((Date.now() - new Date(byId("as-of").dateTime)) / 86400000);
  if (days >= 0) byId("age").textContent = `${days.toLocaleString("en-US")} days old today`;
}

// --- countries by any of their names; fold() of gdp/transform/countries.py does the same ---

const folded = (text) => text.replaceAll("&", " and ").normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
  .replaceAll("ß", "ss").replace(/[^\p{L}\p{N}]+/gu, " ").trim();

// a country's codes come first among its names: the two-letter code where it has one, then the three-letter code
const CODES = 2;
const foldedNames = new Map(); // by code, folded when they are searched for

function namesOf(code) {
  const { name, names } = countries.get(code);
  if (!foldedNames.has(code)) foldedNames.set(code, [names[0] ?? code, code, name, ...names].map(folded));
  return foldedNames.get(code);
}

/** How well a country's names match a folded text: 0 its code, 1 a name, 2 begins, 3 a word begins, 4 a part; or none. */
function matchOf(code, text) {
  const names = namesOf(code);
  if (names.slice(0, CODES).includes(text)) return 0;
  if (names.includes(text)) return 1;
  if (names[CODES].startsWith(text)) return 2;
  if (names.some((name) => ` ${name}`.includes(` ${text}`))) return 3;
  return names.some((name) => name.includes(text)) ? 4 : undefined;
}

/** The codes that match a typed text, the best first; parts of names only where nothing else matches. */
function search(typed) {
  const text = folded(typed);
  const nameOfCode = (code) => namesOf(code)[CODES];
  const codes = [...countries.keys()].sort((one, other) => (nameOfCode(one) < nameOfCode(other) ? -1 : 1));
  if (!text) return codes;
  const matches = new Map(codes.map((code) => [code, matchOf(code, text)]));
  const found = codes.filter((code) => matches.get(code) !== undefined);
  const best = found.filter((code) => matches.get(code) < 4);
  return (best.length ? best : found).sort((one, other) => matches.get(one) - matches.get(other));
}

// --- the table of countries ---

const headings = [...countryTable.tHead.rows[0].cells].filter((heading) => !heading.classList.contains("note"));
let sortedRows = [...rowOf.values()];

function makeSortable() {
  for (const heading of headings) {
    const button = element("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const firstTime = isNumber(heading) && heading.cellIndex > 0 ? "descending" : "ascending";
      const opposite = before === "ascending" ? "descending" : "ascending";
      sortBy(heading, before ? opposite : firstTime);
      keepInAddress({ sort: `${heading.cellIndex}-${heading.getAttribute("aria-sort")}` });
    });
  }
}

const isNumber = (heading) => heading.classList.contains("number");

function sortBy(heading, order) {
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const valueOf = ({ cells: { [heading.cellIndex]: cell } }) => {
    const text = cell.querySelector(".name")?.textContent ?? cell.textContent;
    return isNumber(heading) ? cell.dataset.value ?? text : text;
  };
  const rows = [...rowOf.values()].map((row) => [valueOf(row), row]);
  const compare = isNumber(heading) ? (a, b) => a - b : new Intl.Collator("en").compare;
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // without a figure: last in any order
    return sign * compare(a, b);
  });
  sortedRows = rows.map(([, row]) => row);
  filterCountries();
}

/** Show the rows that match; while a name is typed, the best match first. */
function filterCountries() {
  const typed = byId("name-filter").value;
  const isSearch = folded(typed) !== "";
  const places = new Map(isSearch ? search(typed).map((code, place) => [code, place]) : []);
  const region = byId("region-filter").value;
  const least = Number(byId("size-filter").value);
  let number = 0;
  for (const row of sortedRows) {
    const figure = Number(row.querySelector(".gdp").dataset.value);
    row.hidden = (isSearch && !places.has(row.dataset.code)) || Boolean(region && row.dataset.region !== region) || figure < least;
    number += !row.hidden;
  }
  const placeOf = (row) => places.get(row.dataset.code) ?? places.size;
  const rows = isSearch ? [...sortedRows].sort((one, other) => placeOf(one) - placeOf(other)) : sortedRows;
  const shownRows = [...countryTable.tBodies[0].rows];
  if (rows.some((row, place) => row !== shownRows[place])) countryTable.tBodies[0].append(...rows);
  const words = number === 1 ? "country or territory" : "countries and territories";
  byId("shown").textContent = number ? `${number} ${words}` : "Nothing found.";
  byId("show-all").hidden = number > 0;
}

const FILTERS = new Map([["name", "name-filter"], ["region", "region-filter"], ["size", "size-filter"]]);

function keepFilters() {
  const values = [...FILTERS].map(([name, id]) => [name, byId(id).value === "0" ? "" : byId(id).value]);
  keepInAddress(Object.fromEntries(values));
}

function showFilters() {
  for (const [name, id] of FILTERS) byId(id).value = address.get(name) ?? (name === "size" ? "0" : "");
  for (const [, id] of FILTERS) if (byId(id).selectedIndex === -1) byId(id).selectedIndex = 0;
  const [column, order] = (address.get("sort") ?? "0-ascending").split("-");
  const heading = headings.find(({ cellIndex }) => String(cellIndex) === column);
  sortBy(heading ?? headings[0], order === "descending" ? order : "ascending");
}

function readyCountries() {
  showAge();
  makeSortable();
  for (const id of FILTERS.values()) byId(id).addEventListener("input", () => { filterCountries(); keepFilters(); });
  byId("show-all").addEventListener("click", () => {
    keepInAddress({ name: "", region: "", size: "" });
    showFilters();
    byId("name-filter").focus();
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  showFilters();
}

readAddress();
readyCountries();
