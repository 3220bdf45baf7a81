// --- what all parts share ---

const byId = (id) => document.getElementById(id);
const withCommas = (figure, digits = 2) =>
  figure.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const byCode = (pairs) => Object.assign(Object.create(null), Object.fromEntries(pairs)); // no code is "constructor"
// past.countries[code] has a name, its other names, and what was said; years.js tells how that is written
const past = JSON.parse(byId("past").textContent);
past.countries = byCode(Object.entries(past.countries));
const countryTable = byId("country-table");
const rowOf = byCode([...countryTable.tBodies[0].rows].map((row) => [row.dataset.code, row]));
const nameOf = (code) => past.countries[code]?.name ?? rowOf[code]?.cells[1].textContent ?? code;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
  select.value = chosen;
}

const addressOf = (code) => `#country=${encodeURIComponent(code)}`;

// --- the age of the data, today ---

function tellAge() {
  const days = Math.floor((Date.now() - new Date(byId("as-of").dateTime)) / 86400000);
  if (days >= 0) byId("age").textContent = `${days.toLocaleString("en-US")} days old today`;
}

// --- countries by any of their names; fold() of gdp/figures/countries.py says the same ---

const folded = (text) => text.replaceAll("&", " and ").normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
  .replaceAll("ß", "ss").replace(/[^\p{L}\p{N}]+/gu, " ").trim();

const namesOf = byCode(Object.entries(past.countries)
  .map(([code, country]) => [code, [code, country.name, ...country.names].map(folded)])
  .sort(([, [, one]], [, [, other]]) => (one < other ? -1 : 1)));

/** The codes of countries that have such a name: by their whole name, else by a word's beginning, else anywhere in it. */
function called(typed) {
  const name = folded(typed);
  if (!name) return Object.keys(namesOf);
  const codes = (fits) => Object.keys(namesOf).filter((code) => namesOf[code].some(fits));
  const begin = codes((known) => ` ${known}`.includes(` ${name}`));
  const place = (code) => (namesOf[code].includes(name) ? 0 : namesOf[code][1].startsWith(name) ? 1 : 2);
  return begin.length ? begin.sort((a, b) => place(a) - place(b)) : codes((known) => known.includes(name));
}

// --- the table of countries ---

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells].filter((heading) => !heading.classList.contains("note"));
  for (const heading of headings) {
    const button = element("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, headings, heading));
  }
}

function sortBy(table, headings, heading) {
  const column = heading.cellIndex;
  const isNumber = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const firstTime = isNumber && column > 0 ? "descending" : "ascending";
  const order = before ? (before === "ascending" ? "descending" : "ascending") : firstTime;
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = ({ cells: { [column]: cell } }) => (isNumber ? cell.dataset.value ?? cell.textContent : cell.textContent);
  const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // what has no figure comes last, whichever way
    return sign * (isNumber ? a - b : a.localeCompare(b, "en"));
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function filterCountries() {
  const fits = new Set(called(byId("name-filter").value));
  const region = byId("region-filter").value;
  const least = Number(byId("size-filter").value);
  let shown = 0;
  for (const row of countryTable.tBodies[0].rows) {
    const { code, region: its } = row.dataset;
    row.hidden = !fits.has(code) || (region && its !== region) || Number(row.cells[4].dataset.value) < least;
    shown += !row.hidden;
  }
  byId("shown").textContent = `${shown} ${shown === 1 ? "country" : "countries"}`;
}

tellAge();
makeSortable(countryTable);
for (const id of ["name-filter", "region-filter", "size-filter"]) byId(id).addEventListener("input", filterCountries);
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
filterCountries(); // a browser keeps what was typed before the page was read anew
