"""Makes data/world_map.txt of Natural Earth's shapes: each country's outline, and a dot where that is too small.

Usage: npm pack world-atlas && tar xzf world-atlas-*.tgz
       python -m tests.make_world_map package un_m49.csv

`package` is that folder: Natural Earth (public domain) as TopoJSON; un_m49.csv is the UN's list of codes, from
https://unstats.un.org/unsd/methodology/m49/overview. The projection is Equal Earth (Šavrič, Patterson and Jenny, 2018).
"""

from __future__ import annotations

import argparse
import csv
import json
from itertools import combinations
from math import asin, cos, pi, radians, sin, sqrt
from pathlib import Path
from typing import Any

from gdp.report.svg import WORLD_MAP
from gdp.transform.countries import reference

Point = tuple[float, float]
Ring = list[Point]

WIDTH = 2000  # units of the map: half a pixel on a wide screen, so that whole numbers do
CENTRAL_DEGREES_EAST = 11  # so that the map's edge runs through the Bering Strait and cuts no country
# What the list of codes has not got, and what Natural Earth draws otherwise than the institutions count: Cyprus and
# Somalia are drawn whole. France's shape holds French Guiana, as France's figures do.
WITHOUT_CODE = {"Taiwan": "TWN", "Kosovo": "XKX", "N. Cyprus": "CYP", "Somaliland": "SOM"}
NOBODYS = {"ATA", "ATF"}  # no economy, and they would fill the map's foot
# Natural Earth draws Crimea with Russia, whoever holds it; the UN's member states and M49 count it with Ukraine.
CRIMEA_DEGREES = (32, 44, 37, 47)  # west, south, east, north
SMALL_UNITS2 = 60  # a shape of less is a dot too: 8 units are 5 pixels on a wide screen
LEAST_APART_UNITS = 11  # two dots, so that both are seen
ROUNDS = 60  # of moving dots apart


def main() -> None:
    """Read Natural Earth and write the map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("m49", type=Path)
    options = parser.parse_args()
    with open(options.m49, encoding="utf-8-sig", newline="") as file:
        codes = {row["M49 Code"]: row["ISO-alpha3 Code"] for row in csv.DictReader(file)}
    shapes = shapes_of(options.package / "countries-110m.json", codes)
    fine = shapes_of(options.package / "countries-10m.json", codes)  # has the small states too
    known = {country.iso3 for country in reference().countries.values()} - NOBODYS
    small = {code: middle(max(fine[code], key=area)) for code in known & fine.keys() if is_small(shapes.get(code))}
    lines = [f"{code} {''.join(path(ring) for ring in shapes[code])}" for code in sorted(shapes.keys() & known)]
    lines += [f"{code} {x:.0f} {y:.0f}" for code, (x, y) in sorted(apart(small).items())]
    WORLD_MAP.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{len(lines) - len(small)} shapes, {len(small)} dots, {WORLD_MAP.stat().st_size:,} bytes")
    print(f"{WIDTH} by {height():.0f} units; no place: {', '.join(sorted(known - shapes.keys() - small.keys()))}")


# --- TopoJSON ---------------------------------------------------------------------------------------------------------


def shapes_of(file: Path, codes: dict[str, str]) -> dict[str, list[Ring]]:
    """Return by ISO code the rings of each country, projected."""
    topology = json.loads(file.read_text(encoding="utf-8"))
    arcs = [degrees(arc, topology["transform"]) for arc in topology["arcs"]]
    found: dict[str, list[Ring]] = {}
    for country in topology["objects"]["countries"]["geometries"]:
        name = country["properties"]["name"]
        code = WITHOUT_CODE.get(name) or codes.get(country.get("id"))
        if not code or "arcs" not in country:
            continue
        polygons = country["arcs"] if country["type"] == "MultiPolygon" else [country["arcs"]]
        for numbers in (ring for polygon in polygons for ring in polygon):
            ring = [point for number in numbers for point in (arcs[number] if number >= 0 else arcs[~number][::-1])[1:]]
            whose = "UKR" if code == "RUS" and lies_in(ring, CRIMEA_DEGREES) else code
            found.setdefault(whose, []).append([projected(*point) for point in unwrapped(ring)])
    return found


def degrees(arc: list[list[int]], transform: dict[str, Any]) -> Ring:
    """Return an arc's points, which TopoJSON writes as steps, as degrees east and north."""
    (wide, high), (west, south) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        points.append((x * wide + west, y * high + south))
    return points


def lies_in(ring: Ring, box: tuple[float, float, float, float]) -> bool:
    """Tell whether all of a ring lies in a box."""
    west, south, east, north = box
    return all(west <= x <= east and south <= y <= north for x, y in ring)


def unwrapped(ring: Ring) -> Ring:
    """Return a ring whose longitudes go on beyond 180 instead of jumping, and lie on the map's side of its edge."""
    points = [(x + 360 if x < CENTRAL_DEGREES_EAST - 180 else x, y) for x, y in ring]
    crosses = max(x for x, _ in points) - min(x for x, _ in points) > 180
    return [(x + 360 if crosses and x < 0 else x, y) for x, y in points]


# --- geometry ---------------------------------------------------------------------------------------------------------

A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796  # of Equal Earth
M = sqrt(3) / 2
SCALE = WIDTH / (2 * pi / (M * A1))  # the equator is the map's width
TOP_DEGREES, BOTTOM_DEGREES = 84, -56  # Greenland's north, Cape Horn


def equal_earth(east: float, north: float) -> Point:
    """Return where Equal Earth puts a point, in its own units, north up."""
    theta = asin(M * sin(radians(north)))
    square = theta * theta
    x = radians(east - CENTRAL_DEGREES_EAST) * cos(theta)
    x /= M * (A1 + 3 * A2 * square + square**3 * (7 * A3 + 9 * A4 * square))
    return x, theta * (A1 + A2 * square + square**3 * (A3 + A4 * square))


def projected(east: float, north: float) -> Point:
    """Return a point in units of the map, down from its top."""
    x, y = equal_earth(east, north)
    return WIDTH / 2 + x * SCALE, (equal_earth(0, TOP_DEGREES)[1] - y) * SCALE


def height() -> float:
    """Return how high the map is, in its units."""
    return projected(0, BOTTOM_DEGREES)[1]


def area(ring: Ring) -> float:
    """Return the area of a ring."""
    return abs(sum(x * below - right * y for (x, y), (right, below) in zip(ring, ring[1:] + ring[:1], strict=True))) / 2


def is_small(rings: list[Ring] | None) -> bool:
    """Tell whether a country is too small to be seen or hit; so it is where the map has no shape of it."""
    return not rings or sum(map(area, rings)) < SMALL_UNITS2


def middle(ring: Ring) -> Point:
    """Return the middle of a ring's box."""
    xs, ys = zip(*ring, strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def apart(dots: dict[str, Point]) -> dict[str, Point]:
    """Return dots moved away from one another until each is seen."""
    places = dict(dots)
    for _ in range(ROUNDS):
        for one, other in combinations(sorted(places), 2):
            (x1, y1), (x2, y2) = places[one], places[other]
            distance = sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2) or 0.1
            if distance < LEAST_APART_UNITS:
                push = (LEAST_APART_UNITS - distance) / 2 / distance
                step_x, step_y = (x2 - x1) * push, (y2 - y1) * push
                places[one], places[other] = (x1 - step_x, y1 - step_y), (x2 + step_x, y2 + step_y)
    return places


def path(ring: Ring) -> str:
    """Return a ring as SVG's path: whole units, each point as steps from the one before."""
    points = [(round(x), round(y)) for x, y in ring]
    (x, y), *rest = points
    steps = []
    for right, below in rest:
        if (right, below) != (x, y):
            steps.append(f"{right - x} {below - y}".replace(" -", "-"))
            x, y = right, below
    return f"M{points[0][0]} {points[0][1]}l{' '.join(steps)}z".replace(" -", "-") if len(steps) > 1 else ""


if __name__ == "__main__":
    main()
