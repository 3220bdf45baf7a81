"use strict";
// The page works without this script but for sorting, filtering and one country's past.
(() => {
  const byId = (id) => document.getElementById(id);
  const withCommas = (figure) => figure.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const DAY_MS = 86400000;
  const HEADLINE = "headline";

  // --- the age of the data, today ---

  function tellAge() {
    const days = Math.floor((Date.now() - new Date(byId("as-of").dateTime)) / DAY_MS);
    if (days >= 0) byId("age").textContent = `${days.toLocaleString("en-US")} days old today`;
  }

  // --- the table of countries ---

  function sortable(table) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = heading.querySelector("button");
      if (button) button.addEventListener("click", () => sortBy(table, headings, column));
    });
  }

  function sortBy(table, headings, column) {
    const heading = headings[column];
    const isNumber = heading.classList.contains("number");
    const before = heading.getAttribute("aria-sort");
    const firstTime = isNumber && column > 0 ? "descending" : "ascending";
    const order = before ? (before === "ascending" ? "descending" : "ascending") : firstTime;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const value = (row) => {
      const cell = row.cells[column];
      return isNumber ? Number(cell.dataset.value ?? cell.textContent) : cell.textContent;
    };
    const compare = isNumber ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en");
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => sign * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  function filtered(table) {
    const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const show = () => {
      const name = folded(byId("name-filter").value.trim());
      const region = byId("region-filter").value;
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const fits = folded(row.cells[1].textContent).includes(name) && (!region || row.cells[2].textContent === region);
        row.hidden = !fits;
        shown += fits;
      }
      byId("shown").textContent = `${shown} ${shown === 1 ? "country" : "countries"}`;
    };
    byId("name-filter").addEventListener("input", show);
    byId("region-filter").addEventListener("change", show);
    byId("name-filter").form.addEventListener("submit", (event) => event.preventDefault());
    show();
  }

  // --- one country's past ---
  // past.countries[code].said[series][year] is a flat list: place of a day, figure or null, and so on, in order;
  // headlines[series] is one of places of days and years: which year's figure stands for the country from then on.

  const past = JSON.parse(byId("past").textContent);
  const pairs = (flat) => flat.flatMap((_, i) => (i % 2 ? [] : [[flat[i], flat[i + 1]]]));
  let chart = null;

  /** What stood at a day, out of a list of pairs. */
  function standing(said, day) {
    let figure = null;
    for (const [from, value] of said) {
      if (from > day) break;
      figure = value;
    }
    return figure;
  }

  /** At each day what stood of a country's series: of one year, or of the year that was its headline then. */
  function figuresAt(country, number, year, days, own) {
    const chosen = pairs(country.headlines[number] ?? []);
    let last; // undefined: the series says nothing on that day, and what it said before goes on
    return days.map((day, place) => {
      if (!own.has(day)) return place === days.length - 1 ? last : undefined;
      const names = year === HEADLINE ? [standing(chosen, day)] : [`${year}`, `${year}*`];
      const found = names.map((name) => standing(pairs(country.said[number][name] ?? []), day));
      last = found.find((figure) => figure !== null) ?? null;
      return last;
    });
  }

  function seriesOf(country, year) {
    const places = new Set();
    const owns = Object.entries(country.said).map(([number, byYear]) => {
      const some = Object.entries(byYear).filter(([name]) => year === HEADLINE || parseInt(name, 10) === Number(year));
      const own = new Set(past.vintages[number]);
      const began = Math.min(...some.map(([, flat]) => flat[0]));
      if (some.length) own.forEach((day) => { if (day >= began) places.add(day); });
      return [number, own];
    });
    places.add(past.days.length - 1);
    const days = [...places].sort((a, b) => a - b);
    const lines = owns.map(([number, own]) => [past.series[number], figuresAt(country, number, year, days, own)]);
    return { days, lines: lines.filter(([, figures]) => figures.some((figure) => figure != null)) };
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const COLOURS = ["europe", "asia", "north-america", "oceania", "africa", "south-america"];
  const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3], [], [8, 4]];

  function draw(name, year, { days, lines }) {
    const box = byId("country-chart");
    if (chart) chart.destroy();
    const times = days.map((day) => new Date(past.days[day]) / 1000);
    const now = Math.max(Date.now() / 1000, times.at(-1) + 86400); // what stands, stands until today
    times.push(now);
    lines.forEach(([, figures]) => figures.push(figures.at(-1)));
    const shown = now - times[0] > 300 * 86400 ? 7 : 10; // characters of a day: its month, or all of it
    const axis = { stroke: () => colour("faint"), grid: { stroke: () => colour("line"), width: 1 } };
    const series = lines.map(([label], number) => ({
      label, width: 2, dash: DASHES[number % DASHES.length], points: { show: true, size: 6 },
      stroke: () => colour(COLOURS[number % COLOURS.length]), paths: uPlot.paths.stepped({ align: 1 }),
      value: (_, figure) => (figure == null ? "–" : withCommas(figure)),
    }));
    chart = new uPlot({
      width: Math.max(box.clientWidth, 280), height: 320, series: [{ label: "As of", value: (_, time) => day(time) }, ...series],
      axes: [{ ...axis, values: (_, marks) => marks.map((mark) => day(mark).slice(0, shown)), space: 90 },
        { ...axis, size: 70, label: "billion USD", labelSize: 20, values: (_, marks) => marks.map((mark) => mark.toLocaleString("en-US")) }],
      scales: { x: { time: true } },
    }, [times, ...lines.map(([, figures]) => figures)], box);
    const ends = lines.map(([label, figures]) => `${label} ${withCommas(figures.findLast((figure) => figure != null))}`);
    box.setAttribute("aria-label", `${name}, estimates ${year === HEADLINE ? "at each vintage" : `for ${year}`}, in billions of USD; last: ${ends.join(", ")}. The table below has every figure.`);
  }

  const day = (time) => (time == null ? "–" : new Date(time * 1000).toISOString().slice(0, 10));

  function listEstimates(country, year) {
    const rows = [];
    for (const [series, byYear] of Object.entries(country.said)) {
      const years = Object.keys(byYear).filter((name) => year === HEADLINE || parseInt(name, 10) === Number(year));
      for (const name of years.sort((a, b) => parseInt(b, 10) - parseInt(a, 10))) {
        const said = pairs(byYear[name]);
        said.forEach(([from, figure], i) => {
          if (figure === null) return;
          const until = i + 1 < said.length ? past.days[said[i + 1][0]] : "now";
          const before = i && said[i - 1][1] ? `${((figure / said[i - 1][1] - 1) * 100).toFixed(2)} %` : "";
          const label = name.replace("*", " (no source)");
          rows.push([past.series[series], label, past.days[from], until, withCommas(figure), before && (before.startsWith("-") ? before : `+${before}`)]);
        });
      }
    }
    const isNumber = [false, true, false, false, true, true];
    byId("country-estimates").tBodies[0].replaceChildren(...rows.map((texts) => {
      const row = document.createElement("tr");
      row.append(...texts.map((text, column) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        if (isNumber[column]) cell.className = "number";
        return cell;
      }));
      return row;
    }));
  }

  function option(value, text) {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    return made;
  }

  function showCountry(code, year) {
    const country = past.countries[code];
    if (!country) return;
    byId("country-picker").value = code;
    const years = new Set(Object.values(country.said).flatMap((byYear) => Object.keys(byYear).map((name) => parseInt(name, 10))));
    byId("year-picker").replaceChildren(option(HEADLINE, "each vintage's own year"), ...[...years].sort((a, b) => b - a).map((one) => option(one, one)));
    byId("year-picker").value = years.has(Number(year)) ? year : HEADLINE;
    const chosen = byId("year-picker").value;
    draw(country.name, chosen, seriesOf(country, chosen));
    listEstimates(country, chosen);
  }

  function onePast() {
    const codes = Object.keys(past.countries).sort((a, b) => past.countries[a].name.localeCompare(past.countries[b].name, "en"));
    const picker = byId("country-picker");
    picker.replaceChildren(...codes.map((code) => option(code, past.countries[code].name)));
    const again = () => showCountry(picker.value, byId("year-picker").value);
    picker.addEventListener("change", again);
    byId("year-picker").addEventListener("change", again);
    picker.form.addEventListener("submit", (event) => event.preventDefault());
    const first = byId("country-table").tBodies[0].rows[0]?.cells[1].textContent;
    showCountry(codes.find((code) => past.countries[code].name === first) ?? codes[0], HEADLINE);
    for (const tile of document.querySelectorAll('[id*="-tile-"]')) {
      const code = tile.id.slice(-3);
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = past.countries[code]?.name ?? code;
      tile.prepend(title);
      tile.addEventListener("click", () => { showCountry(code, HEADLINE); byId("one-country").scrollIntoView(); });
    }
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; again(); } });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart && chart.redraw());
  }

  globalThis.gdpReport = { // for tests: what the chart shows of a series on a day
    figureAt: (name, on) => chart.data[1 + chart.series.slice(1).findIndex((one) => one.label === name)][
      chart.data[0].findIndex((time) => day(time) === on)],
  };
  tellAge();
  sortable(byId("country-table"));
  filtered(byId("country-table"));
  onePast();
  document.documentElement.dataset.ready = "yes";
})();
