// --- the map: what it shows, of which part of the world, and what is told of the country pointed at ---

const mapSvg = document.querySelector("#map svg");
const mapShapes = {};
for (const shape of mapSvg.querySelectorAll("[data-code]")) (mapShapes[shape.dataset.code] ??= []).push(shape);
const onMap = Object.keys(rowOf).filter((code) => mapShapes[code]); // the largest first, as in the table
const gdpLook = {
  title: byId("map-title").innerHTML, key: byId("map-key").innerHTML,
  fills: Object.fromEntries(onMap.map((code) => [code, mapShapes[code][0].style.fill])),
};
const CHANGE_PERCENT = [-10, -3, -0.5, 0.5, 3, 10];
const CHANGES = [
  "down 10 % and more", "down 3–10 %", "down 0.5–3 %", "within 0.5 %", "up 0.5–3 %", "up 3–10 %", "up 10 % and more"];
const DOT_PX = 5;
const NEAR_PX = { mouse: 9, touch: 24, pen: 16 };

const revisedOf = (code) => rowOf[code].querySelectorAll("td")[5].dataset.value ?? "";

function lookOfChange() {
  const fills = Object.fromEntries(onMap.map((code) => {
    const percent = revisedOf(code);
    return [code, percent === "" ? "none" : `change-${CHANGE_PERCENT.filter((low) => Number(percent) >= low).length}`];
  }));
  const key = [...CHANGES.map((told, number) => [`change-${number}`, told]), ["none", "no figure of the same year to compare"]];
  const chosen = byId("map-shows").selectedOptions[0].textContent;
  return { fills, key, title: `${chosen}: the same country's figure for the same year` };
}

function lookOfRegions() {
  const colour = (region) => (region ? region.toLowerCase().replaceAll(" ", "-") : "unknown");
  const regions = [...new Set(onMap.map((code) => rowOf[code].dataset.region))].sort();
  const fills = Object.fromEntries(onMap.map((code) => [code, colour(rowOf[code].dataset.region)]));
  const key = regions.map((region) => [colour(region), region || "unknown"]);
  return { fills, key, title: "Regions: UN M49's, the Americas split in two" };
}

function paintMap() {
  const shows = byId("map-shows").value;
  if (shows === "gdp") {
    for (const code of onMap) for (const shape of mapShapes[code]) shape.style.fill = gdpLook.fills[code];
    byId("map-title").innerHTML = gdpLook.title;
    byId("map-key").innerHTML = gdpLook.key;
    return;
  }
  const { fills, key, title } = shows === "change" ? lookOfChange() : lookOfRegions();
  for (const code of onMap) for (const shape of mapShapes[code]) shape.style.fill = `var(--${fills[code]})`;
  byId("map-title").textContent = title;
  byId("map-key").replaceChildren(...key.map(([colour, told]) => element("li", { style: `--of: var(--${colour})` }, told)));
}

/** Units of the map in a pixel. */
function unitsPerPixel() {
  const { width, height } = mapSvg.viewBox.baseVal;
  return Math.max(width / (mapSvg.clientWidth || 1), height / (mapSvg.clientHeight || 1));
}

function sizeDots() {
  mapSvg.style.setProperty("--dot", `${(DOT_PX * Math.min(1, 0.4 + mapSvg.clientWidth / 1500) * unitsPerPixel()).toFixed(2)}px`);
}

function tellOfCountry(code) {
  mapSvg.querySelectorAll(".told").forEach((shape) => shape.classList.remove("told"));
  const row = rowOf[code];
  if (!row || !mapShapes[code]) return;
  mapShapes[code].forEach((shape) => shape.classList.add("told"));
  const [rank, , region, year, figure, share, ...rest] = [...row.cells].map((cell) => cell.textContent.trim());
  const note = rest.pop();
  const revised = rest.length && rest[0] ? `; revised: ${rest[0]}` : "";
  byId("map-tells").replaceChildren(
    element("a", { href: addressOf(code) }, nameOf(code)),
    ` (${code}): ${figure} billion USD for ${year}, rank ${rank}, ${share} of all; ${region}${revised}`,
    note ? `; in doubt: ${note}` : "");
}

/** The country at a pointer: a dot that is near comes before the land around it. */
function countryAt(event) {
  const near = (NEAR_PX[event.pointerType] ?? NEAR_PX.mouse) ** 2;
  let [nearest, found] = [near, event.target.dataset?.code];
  for (const dot of mapSvg.querySelectorAll("circle")) {
    const box = dot.getBoundingClientRect();
    const distance = (box.x + box.width / 2 - event.clientX) ** 2 + (box.y + box.height / 2 - event.clientY) ** 2;
    if (distance < nearest) [nearest, found] = [distance, dot.dataset.code];
  }
  return found;
}

function readyMap() {
  const box = byId("map");
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  const keys = "Arrow keys go from country to country, the largest first; Enter leads to its past.";
  box.setAttribute("aria-label", `Map of the world. ${keys}`);
  let told = -1;
  const tell = (code) => { told = onMap.indexOf(code); tellOfCountry(code); };
  box.addEventListener("pointermove", (event) => {
    const code = countryAt(event);
    if (rowOf[code] && code !== onMap[told]) tell(code);
  });
  box.addEventListener("click", (event) => {
    const code = countryAt(event);
    if (!rowOf[code]) return;
    tell(code);
    if (event.pointerType === "mouse" || !event.pointerType) leadTo(addressOf(code)); // a finger sees the figure first
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      tell(onMap[(told + step + onMap.length) % onMap.length]);
    } else if (event.key === "Enter" && onMap[told]) leadTo(addressOf(onMap[told]));
  });
  byId("map-shows").addEventListener("input", paintMap);
  byId("map-of").addEventListener("input", () => { mapSvg.setAttribute("viewBox", byId("map-of").value); sizeDots(); });
  addEventListener("resize", sizeDots);
  // a browser keeps what was chosen before the page was read anew
  if (byId("map-shows").value !== "gdp") paintMap();
  if (byId("map-of").selectedIndex) mapSvg.setAttribute("viewBox", byId("map-of").value);
  requestAnimationFrame(sizeDots); // once all is laid out anyway
}

readyMap();
