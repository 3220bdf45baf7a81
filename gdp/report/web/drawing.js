// --- a chart as SVG, drawn from figures alone, so that it can be printed and saved ---
// chart: { kind, log, title, caption, lines }; a line: { name, colour, dash, points };
// a point: { x, until, y, note, flagged, projection }.
// kind "years": x is a year, and a line joins years that follow one another; its projections are dashed and shaded.
// kind "revisions": x is a moment in ms, and a figure is a step from x until `until`.
// kind "vintages": x is a moment in ms, and points are not joined.
// y is in billions of USD.

const SVG = "http://www.w3.org/2000/svg";
const DAY_MS = 86400000;
const YEAR_MS = 365.25 * DAY_MS;
const CHART_HEIGHT_PX = 400;
const LETTER_PX = 12;
const LINE_PX = 17;
const MANY_POINTS = 30; // more of them would hide their line
const DASHES = "6 4"; // of projections
const SHADE = 0.08;
const letters = document.createElement("canvas").getContext("2d");
const shownDay = (time) => new Date(time).toISOString().slice(0, 10);

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** About so many round numbers between two. */
function evenTicks(low, high, most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough);
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high * (1 + 1e-9); n += 1) ticks.push(n * step || 0); // and never -0
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const times of [1, 2, 5]) if (times * 10 ** power >= low && times * 10 ** power <= high) ticks.push(times * 10 ** power);
  }
  return ticks.length > 8 ? ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e9) / 1e9)) : ticks;
}

/** About so many first days of months between two moments, or days, each with its label. */
function timeTicks(low, high, most) {
  const days = (high - low) / DAY_MS;
  if (days < 31 * most / 2) {
    const whole = new Set(evenTicks(low / DAY_MS, high / DAY_MS, most).map(Math.round));
    return [...whole].map((day) => [day * DAY_MS, shownDay(day * DAY_MS)]);
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120].find((months) => days / 30.44 / months <= most) ?? 240;
  const first = new Date(low);
  const ticks = [];
  for (let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / step) * step; ; month += step) {
    const time = Date.UTC(Math.floor(month / 12), month % 12);
    if (time > high) return ticks;
    if (time >= low) ticks.push([time, shownDay(time).slice(0, step % 12 ? 7 : 4)]);
  }
}

function xScale(chart, left, right) {
  const xs = chart.lines.flatMap((line) => line.points.flatMap((point) => [point.x, point.until ?? point.x]));
  let [low, high] = [Math.min(...xs), Math.max(...xs)];
  const least = chart.kind === "years" ? 1 : DAY_MS;
  if (high - low < least) [low, high] = [low - least, high + least];
  const most = Math.max(2, Math.floor((right - left) / 80));
  const years = () => evenTicks(low, high, most).filter(Number.isInteger).map((year) => [year, String(year)]);
  const ticks = chart.kind === "years" ? years() : timeTicks(low, high, most);
  return { at: (x) => left + ((x - low) / (high - low)) * (right - left), ticks };
}

function yScale(chart, bottom, top) {
  const ys = chart.lines.flatMap((line) => line.points.map((point) => point.y)).filter((y) => y > 0 || !chart.log);
  let [low, high] = ys.length ? [Math.min(...ys), Math.max(...ys)] : [1, 10];
  const unit = high >= 1000 ? { of: 1000, name: "trillion USD" } : { of: 1, name: "billion USD" };
  if (chart.log) [low, high] = [low / 1.2, high * 1.2];
  else if (chart.kind === "years") low = Math.min(0, low); // so that heights can be compared
  const room = (high - low) * 0.08 || high * 0.1 || 1;
  if (!chart.log) [low, high] = [low === 0 ? 0 : low - room, high + room];
  const of = chart.log ? Math.log10 : (y) => y;
  const at = (y) => bottom - ((of(y) - of(low)) / (of(high) - of(low))) * (bottom - top);
  const ticks = chart.log ? logTicks(low, high) : evenTicks(low / unit.of, high / unit.of, 6).map((tick) => tick * unit.of);
  const decimals = (tick) => (String(Number((tick / unit.of).toPrecision(6))).split(".")[1] ?? "").length;
  const most = Math.max(0, ...ticks.map(decimals));
  return { at, unit, ticks: ticks.map((tick) => [tick, withCommas(tick / unit.of, chart.log ? decimals(tick) : most)]) };
}

/** A line's path: from year to year, or a step for as long as a figure was published; a gap where there is none. */
function pathOf(kind, points, x, y) {
  let path = "";
  points.forEach((point, number) => {
    const before = points[number - 1];
    const goesOn = before && (kind === "years" ? point.x === before.x + 1 : before.until === point.x);
    path += `${goesOn ? "L" : "M"}${x.at(point.x).toFixed(1)} ${y.at(point.y).toFixed(1)}`;
    if (kind === "revisions") path += `H${x.at(point.until).toFixed(1)}`;
  });
  return path;
}

/** A line and its points: dashed from the first projection on in a chart of years, hollow where a check flagged it. */
function drawLine(chart, line, x, y) {
  const points = line.points.filter((point) => point.y > 0 || !chart.log);
  const stroke = `var(--${line.colour})`;
  const ahead = chart.kind === "years" ? points.findIndex((point) => point.projection) : -1;
  const parts = ahead < 0 ? [[points, line.dash ?? "none"]] : [[points.slice(0, ahead), "none"], [points.slice(Math.max(ahead - 1, 0)), DASHES]];
  const paths = chart.kind === "vintages" ? [] : parts.map(([some, dashes]) => svg("path", {
    class: dashes === DASHES ? "line projected" : "line", d: pathOf(chart.kind, some, x, y),
    style: `fill: none; stroke: ${stroke}; stroke-width: 2; stroke-dasharray: ${dashes}`,
  }));
  const radius = points.length > MANY_POINTS && chart.kind !== "vintages" ? 1.5 : 3;
  const marks = points.map((point) => svg("circle", {
    cx: x.at(point.x).toFixed(1), cy: y.at(point.y).toFixed(1), r: point.flagged ? 4.5 : radius,
    style: `fill: ${point.flagged ? "var(--paper)" : stroke}; stroke: ${stroke}; stroke-width: ${point.flagged ? 2 : 1}`,
  }));
  return [...paths, ...marks];
}

/** The shade behind the years for which every line is a projection, and its label. */
function drawShade(chart, x, box) {
  const firsts = chart.lines.map((line) => line.points.find((point) => point.projection)?.x);
  if (chart.kind !== "years" || !firsts.length || firsts.includes(undefined)) return [];
  const left = Math.max(x.at(Math.max(...firsts) - 0.5), box.left);
  const label = { x: box.right - 4, y: box.top + 11, "text-anchor": "end", style: "fill: var(--faint)" };
  const size = { x: left.toFixed(1), y: box.top, width: (box.right - left).toFixed(1), height: box.bottom - box.top };
  return [
    svg("rect", { class: "shade", ...size, style: `fill: var(--ink); fill-opacity: ${SHADE}` }),
    svg("text", label, "projections")];
}

/** Words in as many lines as they need, as texts one below the other. */
function drawWords(words, width, top, size, colour, weight = "normal") {
  letters.font = `${weight} ${size}px system-ui, sans-serif`;
  const lines = [""];
  for (const word of words.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && letters.measureText(longer).width > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  const look = { x: 0, "font-size": size, "font-weight": weight, style: `fill: var(--${colour})` };
  return lines.map((line, place) => svg("text", { ...look, y: top + LINE_PX * place }, line));
}

/** The names of the lines in as many rows as they need, and the height of those rows. */
function drawKey(chart, width, above) {
  const shapes = [];
  let [left, top] = [0, above];
  const marks = [];
  if (chart.lines.some((line) => line.points.some((point) => point.flagged))) marks.push({ name: "○ flagged by a check" });
  if (chart.kind === "years" && chart.lines.some((line) => line.points.some((point) => point.projection))) marks.push({ name: "dashed: projections" });
  letters.font = `${LETTER_PX}px system-ui, sans-serif`;
  for (const line of [...chart.lines, ...marks]) {
    const wide = (line.colour ? 46 : 19) + letters.measureText(line.name).width;
    if (left && left + wide > width) [left, top] = [0, top + LINE_PX];
    const style = `fill: none; stroke: var(--${line.colour}); stroke-width: 3; stroke-dasharray: ${line.dash ?? "none"}`;
    if (line.colour) shapes.push(svg("path", { class: "key-line", d: `M${left} ${top - 4}h22`, style }));
    shapes.push(svg("text", { x: left + (line.colour ? 27 : 0), y: top, style: "fill: var(--ink)" }, line.name));
    left += wide;
  }
  return { shapes, height: top + 12 };
}

function drawAxes(x, y, box) {
  const text = (words, attributes) => svg("text", { ...attributes, style: "fill: var(--faint)" }, words);
  const grid = y.ticks.flatMap(([tick, label]) => [
    svg("path", { d: `M${box.left} ${y.at(tick).toFixed(1)}H${box.right}`, style: "stroke: var(--line)" }),
    text(label, { class: "tick", x: box.left - 6, y: y.at(tick) + 4, "text-anchor": "end" })]);
  const marks = x.ticks.flatMap(([tick, label]) => [
    svg("path", { d: `M${x.at(tick).toFixed(1)} ${box.bottom}v5`, style: "stroke: var(--faint)" }),
    text(label, { x: Math.min(x.at(tick), box.right - 14), y: box.bottom + 19, "text-anchor": "middle" })]);
  const ground = svg("path", { d: `M${box.left} ${box.bottom}H${box.right}`, style: "stroke: var(--faint)" });
  return [text(y.unit.name, { x: 0, y: box.top - 10 }), ...grid, ...marks, ground];
}

/** The chart as an SVG element, with its scales for pointing at it. */
function drawChart(chart, width) {
  const title = drawWords(chart.title, width, 14, LETTER_PX + 1, "ink", "bold");
  const key = drawKey(chart, width, LINE_PX * title.length + LETTER_PX + 3);
  const caption = drawWords(chart.caption, width, 0, LETTER_PX - 1, "faint");
  const box = { left: 62, right: width - 12, top: key.height + 16, bottom: CHART_HEIGHT_PX - 30 - LINE_PX * caption.length };
  caption.forEach((line, place) => line.setAttribute("y", CHART_HEIGHT_PX - 6 - LINE_PX * (caption.length - 1 - place)));
  const x = xScale(chart, box.left, box.right);
  const y = yScale(chart, box.bottom, box.top);
  const size = { viewBox: `0 0 ${width} ${CHART_HEIGHT_PX}`, width, height: CHART_HEIGHT_PX };
  const cursor = svg("path", { d: "", style: "stroke: var(--faint); stroke-dasharray: 3 3" });
  const made = svg("svg", { xmlns: SVG, ...size, "font-family": "system-ui, sans-serif", "font-size": LETTER_PX },
    ...title, ...key.shapes, ...drawShade(chart, x, box), ...drawAxes(x, y, box),
    ...chart.lines.flatMap((line) => drawLine(chart, line, x, y)), ...caption, cursor);
  const pointAt = (at) => cursor.setAttribute("d", `M${x.at(at).toFixed(1)} ${box.top}V${box.bottom}`);
  return { made, x, unit: y.unit, pointAt };
}

/** A drawing for a file: on a ground of its own, with colours instead of variables. */
function svgFile(drawing) {
  const copy = drawing.cloneNode(true);
  copy.prepend(svg("rect", { width: "100%", height: "100%", style: "fill: var(--paper)" }));
  const look = getComputedStyle(document.documentElement);
  const text = new XMLSerializer().serializeToString(copy);
  return text.replace(/var\(--([\w-]+)\)/g, (_, name) => look.getPropertyValue(`--${name}`).trim());
}
