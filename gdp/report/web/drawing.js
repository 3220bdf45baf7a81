// --- a chart of lines as SVG, drawn from figures alone, so that it can be printed and saved ---
// chart: { kind: "years" or "days", log, title, caption, lines }; a line: { name, colour, dash, points };
// a point: { x, until, y, note, ahead }.
// x is a year, or a moment in ms; a point with an `until` stands from x until then. y is in billions of USD.

const SVG = "http://www.w3.org/2000/svg";
const DAY_MS = 86400000;
const YEAR_MS = 365.25 * DAY_MS;
const CHART_HEIGHT_PX = 400;
const LETTER_PX = 12;
const LINE_PX = 17;
const MANY_POINTS = 30; // more of them would hide their line
const PALER = 0.5;
const letters = document.createElement("canvas").getContext("2d");
const shownDay = (time) => new Date(time).toISOString().slice(0, 10);

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Round numbers between two, about so many. */
function evenTicks(low, high, most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough);
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high * (1 + 1e-9); n += 1) ticks.push(n * step);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const times of [1, 2, 5]) if (times * 10 ** power >= low && times * 10 ** power <= high) ticks.push(times * 10 ** power);
  }
  return ticks.length > 8 ? ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e9) / 1e9)) : ticks;
}

/** The first of months or days between two moments, about so many, each with what it is called. */
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
  else if (chart.kind === "years") low = Math.min(0, low); // growth is told by a bar's whole height; a revision is not
  const room = (high - low) * 0.08 || high * 0.1 || 1;
  if (!chart.log) [low, high] = [low === 0 ? 0 : low - room, high + room];
  const of = chart.log ? Math.log10 : (y) => y;
  const at = (y) => bottom - ((of(y) - of(low)) / (of(high) - of(low))) * (bottom - top);
  const ticks = chart.log ? logTicks(low, high) : evenTicks(low / unit.of, high / unit.of, 6).map((tick) => tick * unit.of);
  const decimals = (tick) => (String(Number((tick / unit.of).toPrecision(6))).split(".")[1] ?? "").length;
  const most = Math.max(0, ...ticks.map(decimals));
  return { at, unit, ticks: ticks.map((tick) => [tick, withCommas(tick / unit.of, chart.log ? decimals(tick) : most)]) };
}

/** A line's path: from year to year, or a step for as long as a figure stood and a gap where nothing was said. */
function pathOf(line, x, y) {
  let path = "";
  line.points.forEach((point, number) => {
    const before = line.points[number - 1];
    const goesOn = before && (point.until === undefined || before.until === point.x);
    path += `${goesOn ? "L" : "M"}${x.at(point.x).toFixed(1)} ${y.at(point.y).toFixed(1)}`;
    if (point.until !== undefined) path += `H${x.at(point.until).toFixed(1)}`;
  });
  return path;
}

/** A line and its points: paler from the first year that had not begun when its figure was said; hollow with a Note. */
function drawLine(line, x, y, log) {
  const points = line.points.filter((point) => point.y > 0 || !log);
  const stroke = `var(--${line.colour})`;
  const ahead = points.findIndex((point) => point.ahead);
  const parts = ahead < 0 ? [[points, 1]] : [[points.slice(0, ahead), 1], [points.slice(Math.max(ahead - 1, 0)), PALER]];
  const paths = parts.map(([some, opacity]) => svg("path", {
    d: pathOf({ ...line, points: some }, x, y), "stroke-opacity": opacity,
    style: `fill: none; stroke: ${stroke}; stroke-width: 2; stroke-dasharray: ${line.dash || "none"}`,
  }));
  const radius = points.length > MANY_POINTS ? 1.5 : 3;
  const marks = points.map((point) => svg("circle", {
    cx: x.at(point.x).toFixed(1), cy: y.at(point.y).toFixed(1), r: point.note ? 4.5 : radius,
    opacity: point.ahead && !point.note ? PALER : 1,
    style: `fill: ${point.note ? "var(--paper)" : stroke}; stroke: ${stroke}; stroke-width: ${point.note ? 2 : 1}`,
  }));
  return [...paths, ...marks];
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

/** The names of the lines, each with its dash, in as many rows as they need; and how high those are. */
function drawKey(chart, width, above) {
  const shapes = [];
  let [left, top] = [0, above];
  const any = (what) => chart.lines.some((line) => line.points.some((point) => point[what]));
  const marks = [];
  if (any("note")) marks.push({ name: "○ has a Note" });
  if (any("ahead")) marks.push({ name: "paler: said before that year began" });
  letters.font = `${LETTER_PX}px system-ui, sans-serif`;
  for (const line of [...chart.lines, ...marks]) {
    const wide = (line.colour ? 46 : 19) + letters.measureText(line.name).width;
    if (left && left + wide > width) [left, top] = [0, top + LINE_PX];
    const style = `fill: none; stroke: var(--${line.colour}); stroke-width: 3; stroke-dasharray: ${line.dash || "none"}`;
    if (line.colour) shapes.push(svg("path", { d: `M${left} ${top - 4}h22`, style }));
    shapes.push(svg("text", { x: left + (line.colour ? 27 : 0), y: top, style: "fill: var(--ink)" }, line.name));
    left += wide;
  }
  return { shapes, height: top + 12 };
}

/** The chart as an SVG element, with where its axes lie for who points at it. */
function drawChart(chart, width) {
  const title = drawWords(chart.title, width, 14, LETTER_PX + 1, "ink", "bold");
  const key = drawKey(chart, width, LINE_PX * title.length + LETTER_PX + 3);
  const caption = drawWords(chart.caption, width, 0, LETTER_PX - 1, "faint");
  const [left, right, top, bottom] = [62, width - 12, key.height + 16, CHART_HEIGHT_PX - 30 - LINE_PX * caption.length];
  caption.forEach((line, place) => line.setAttribute("y", CHART_HEIGHT_PX - 6 - LINE_PX * (caption.length - 1 - place)));
  const x = xScale(chart, left, right);
  const y = yScale(chart, bottom, top);
  const text = (words, attributes, colour = "faint") => svg("text", { ...attributes, style: `fill: var(--${colour})` }, words);
  const grid = y.ticks.flatMap(([tick, told]) => [
    svg("path", { d: `M${left} ${y.at(tick).toFixed(1)}H${right}`, style: "stroke: var(--line)" }),
    text(told, { x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" })]);
  const marks = x.ticks.flatMap(([tick, told]) => [
    svg("path", { d: `M${x.at(tick).toFixed(1)} ${bottom}v5`, style: "stroke: var(--faint)" }),
    text(told, { x: Math.min(x.at(tick), right - 14), y: bottom + 19, "text-anchor": "middle" })]);
  const size = { viewBox: `0 0 ${width} ${CHART_HEIGHT_PX}`, width, height: CHART_HEIGHT_PX };
  const made = svg("svg", { xmlns: SVG, ...size, "font-family": "system-ui, sans-serif", "font-size": LETTER_PX },
    ...title, ...key.shapes, text(y.unit.name, { x: 0, y: key.height + 6 }), ...grid, ...marks,
    svg("path", { d: `M${left} ${bottom}H${right}`, style: "stroke: var(--faint)" }),
    ...chart.lines.flatMap((line) => drawLine(line, x, y, chart.log)),
    ...caption);
  const cursor = svg("path", { d: "", style: "stroke: var(--faint); stroke-dasharray: 3 3" });
  made.append(cursor);
  const pointAt = (at) => cursor.setAttribute("d", `M${x.at(at).toFixed(1)} ${top}V${bottom}`);
  return { made, x, unit: y.unit, pointAt };
}

/** A drawing by itself, on its ground, with colours instead of their names. */
function svgFile(drawing) {
  const copy = drawing.cloneNode(true);
  copy.prepend(svg("rect", { width: "100%", height: "100%", style: "fill: var(--paper)" }));
  const look = getComputedStyle(document.documentElement);
  const text = new XMLSerializer().serializeToString(copy);
  return text.replace(/var\(--([\w-]+)\)/g, (_, name) => look.getPropertyValue(`--${name}`).trim());
}
