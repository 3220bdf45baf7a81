// --- the map: GDP, revisions or regions, of the world or an area, and a description of the country pointed at ---

const onMap = [...rowOf.keys()].filter((code) => mapShapes.has(code)); // the largest first, as in the table
const gdpLook = {
  title: byId("map-title").innerHTML, key: byId("map-key").innerHTML,
  fills: new Map(onMap.map((code) => [code, mapShapes.get(code)[0].style.fill])),
};
const CHANGE_PERCENT = [-10, -3, -0.5, 0.5, 3, 10];
const CHANGES = [
  "down 10 % and more", "down 3–10 %", "down 0.5–3 %", "within 0.5 %", "up 0.5–3 %", "up 3–10 %", "up 10 % and more"];
const NOTHING_TO_COMPARE = "no figure for the same year to compare";
const WHOLE_WORLD = mapSvg.getAttribute("viewBox");
const DOT_PX = 5;
const NEAR_PX = new Map([["mouse", 9], ["touch", 24], ["pen", 16]]);

const revisedOf = (code) => rowOf.get(code).querySelector(".revised")?.dataset.value ?? "";
const wasFlagged = (code) => "wasFlagged" in rowOf.get(code).dataset;

/** Hatched fills, one for each colour of the changes, for countries whose figure before is flagged. */
function addHatches() {
  const svgElement = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    made.append(...children);
    return made;
  };
  const hatch = (colour) => svgElement(
    "pattern", { id: `hatched-${colour}`, width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svgElement("rect", { width: 8, height: 8, style: `fill: var(--${colour})` }),
    svgElement("rect", { width: 2, height: 8, style: "fill: var(--ink)" }));
  mapSvg.prepend(svgElement("defs", {}, ...["none", ...CHANGES.map((_, step) => `change-${step}`)].map(hatch)));
}

function lookOfChange() {
  const colourOf = (percent) => (percent === "" ? "none" : `change-${CHANGE_PERCENT.filter((low) => Number(percent) >= low).length}`);
  const fillOf = (code) => {
    const colour = colourOf(revisedOf(code));
    return wasFlagged(code) ? `url(#hatched-${colour})` : `var(--${colour})`;
  };
  const key = [...CHANGES.map((words, step) => [`change-${step}`, words]), ["none", NOTHING_TO_COMPARE]];
  if (onMap.some(wasFlagged)) key.push(["hatched", "the figure before is flagged: compared with the last unflagged one"]);
  const chosen = byId("map-mode").selectedOptions[0].textContent;
  return { fills: new Map(onMap.map((code) => [code, fillOf(code)])), key, title: `${chosen}: the same country, institution and reference year` };
}

function lookOfRegions() {
  const colourOf = (region) => (region ? region.toLowerCase().replaceAll(" ", "-") : "unknown");
  const regions = [...new Set(onMap.map((code) => rowOf.get(code).dataset.region))].sort();
  const fills = new Map(onMap.map((code) => [code, `var(--${colourOf(rowOf.get(code).dataset.region)})`]));
  const key = regions.map((region) => [colourOf(region), region || "unknown"]);
  return { fills, key, title: "Regions of UN M49, the Americas split in two" };
}

function paintMap() {
  const mode = byId("map-mode").value;
  const look = mode === "gdp" ? gdpLook : mode === "change" ? lookOfChange() : lookOfRegions();
  for (const code of onMap) for (const shape of mapShapes.get(code)) shape.style.fill = look.fills.get(code);
  if (mode === "gdp") {
    byId("map-title").innerHTML = look.title;
    byId("map-key").innerHTML = look.key;
    return;
  }
  byId("map-title").textContent = look.title;
  const item = ([colour, words]) => element("li", colour === "hatched" ? { class: colour } : { style: `--of: var(--${colour})` }, words);
  byId("map-key").replaceChildren(...look.key.map(item));
}

/** Units of the map in a pixel. */
function unitsPerPixel() {
  const { width, height } = mapSvg.viewBox.baseVal;
  return Math.max(width / (mapSvg.clientWidth || 1), height / (mapSvg.clientHeight || 1));
}

function sizeDots() {
  mapSvg.style.setProperty("--dot", `${(DOT_PX * Math.min(1, 0.4 + mapSvg.clientWidth / 1500) * unitsPerPixel()).toFixed(2)}px`);
}

function showArea() {
  mapSvg.setAttribute("viewBox", byId("map-area").selectedOptions[0].dataset.box ?? WHOLE_WORLD);
  sizeDots();
}

function describeCountry(code) {
  mapSvg.querySelectorAll(".described").forEach((shape) => shape.classList.remove("described"));
  mapShapes.get(code).forEach((shape) => shape.classList.add("described"));
  const row = rowOf.get(code);
  if (!row) {
    byId("map-description").textContent = mapTextOf(code); // "Yemen: no figure"
    return;
  }
  const text = (selector) => row.querySelector(selector)?.textContent.trim() ?? "";
  const [rank, , region, year, kind] = [...row.cells].map((cell) => cell.textContent.trim());
  const revised = text(".revised") ? `; revised: ${text(".revised")}` : "";
  byId("map-description").replaceChildren(
    element("a", { href: addressOf(code) }, nameOf(code)),
    ` (${code}): ${text(".gdp")} billion USD, ${kind} for ${year}, rank ${rank}, ${text(".share")} of all; ${region}${revised}`,
    text(".note") ? `; note: ${text(".note")}` : "");
}

/** The country at a pointer: a dot that is near comes before the land around it. */
function countryAt(event) {
  let nearest = (NEAR_PX.get(event.pointerType) ?? NEAR_PX.get("mouse")) ** 2;
  let found = event.target.dataset?.code;
  for (const dot of mapSvg.querySelectorAll("circle")) {
    const box = dot.getBoundingClientRect();
    const distance = (box.x + box.width / 2 - event.clientX) ** 2 + (box.y + box.height / 2 - event.clientY) ** 2;
    if (distance < nearest) [nearest, found] = [distance, dot.dataset.code];
  }
  return found;
}

/** The place in a list that a key leads to: arrows go round, Home and End to its ends; none for other keys. */
function placeAfterKey(key, place, length) {
  const step = new Map([["ArrowRight", 1], ["ArrowDown", 1], ["ArrowLeft", -1], ["ArrowUp", -1]]).get(key);
  if (key === "Home") return 0;
  if (key === "End") return length - 1;
  if (!step) return undefined;
  if (place < 0) return step > 0 ? 0 : length - 1;
  return (place + step + length) % length;
}

function readyMap() {
  const box = byId("map");
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  const keys = "Arrow keys go from country to country, the largest first, Home and End to the ends; Enter leads to its years.";
  box.setAttribute("aria-label", `Map of the world. ${keys}`);
  let described;
  const describe = (code) => { described = code; describeCountry(code); };
  box.addEventListener("pointermove", (event) => {
    const code = countryAt(event);
    if (mapShapes.has(code) && code !== described) describe(code);
  });
  box.addEventListener("click", (event) => {
    const code = countryAt(event);
    if (!mapShapes.has(code)) return;
    describe(code);
    const isMouse = event.pointerType === "mouse" || !event.pointerType;
    if (isMouse && rowOf.has(code)) leadTo(addressOf(code)); // a finger sees the figure first
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && rowOf.has(described) && event.target === box) leadTo(addressOf(described));
    const place = placeAfterKey(event.key, onMap.indexOf(described), onMap.length);
    if (place === undefined || !onMap.length) return;
    event.preventDefault();
    describe(onMap[place]);
  });
  byId("map-mode").addEventListener("input", ({ target }) => {
    paintMap();
    keepInAddress({ map: target.value === "gdp" ? "" : target.value });
  });
  byId("map-area").addEventListener("input", ({ target }) => { showArea(); keepInAddress({ area: target.value }); });
  addEventListener("resize", sizeDots);
  addHatches();
  showMapOfAddress();
}

function showMapOfAddress() {
  for (const [name, id, usual] of [["map", "map-mode", "gdp"], ["area", "map-area", ""]]) {
    byId(id).value = address.get(name) ?? usual;
    if (byId(id).selectedIndex === -1) byId(id).value = usual;
  }
  paintMap();
  requestAnimationFrame(showArea); // once everything has its size
}

readyMap();
