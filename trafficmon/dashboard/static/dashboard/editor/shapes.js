// What is drawn, as values: every change makes a new list, so that it can be undone. Points are shares of the picture, 0 to 1.

const { gettext, interpolate } = window;

export const FEWEST = { zone: 3, line: 2, calibration: 4 };
export const MOST = { zone: 100, line: 2, calibration: 4 };
const DIGITS = 4;

/** Kinds by code in the reader's language; `line` and `calibration` are kinds of their own here. */
export const KINDS = { line: gettext("counting line"), calibration: gettext("calibration") };

const NAMES = {
  lane: gettext("Lane %s"), ignore: gettext("Mask %s"), include: gettext("Zone %s"), line: gettext("Line %s"),
};

/** The shapes of a drawing as the server spells it, and which row each of them is. */
export function shapesOf({ zones, lines, calibration }) {
  const ids = new Map();
  const shape = (type) => ({ id, ...fields }) => {
    const key = `${type}-${id}`;
    ids.set(key, id);
    const { polygon, ends, ...rest } = fields;
    return { key, type, kind: type, points: polygon ?? ends, ...rest };
  };
  const shapes = [...zones.map(shape("zone")), ...lines.map(shape("line"))];
  if (calibration) shapes.push({ key: "calibration", type: "calibration", kind: "calibration", name: gettext("Calibration"), points: calibration.picture, road: calibration.road });
  return { shapes, ids };
}

/** The drawing as the server reads it. */
export function drawingOf(shapes, ids) {
  const of = (type) => shapes.filter((each) => each.type === type);
  const id = ({ key }) => ids.get(key) ?? null;
  const [marks] = of("calibration");
  return {
    zones: of("zone").map((each) => ({
      id: id(each), name: each.name, kind: each.kind, polygon: each.points, classes: each.classes,
      directionDegrees: each.kind === "lane" ? each.directionDegrees : null,
      minimumSeconds: each.kind === "include" || each.kind === "ignore" ? 0 : each.minimumSeconds,
    })),
    lines: of("line").map((each) => ({ id: id(each), name: each.name, ends: each.points, classes: each.classes })),
    calibration: marks ? { picture: marks.points, road: marks.road } : null,
  };
}

export function typeOf(kind) {
  return kind === "line" || kind === "calibration" ? kind : "zone";
}

/** A new shape of the kind, with a name that no other has. */
export function newShape(kind, points, shapes) {
  const type = typeOf(kind);
  const key = `${type}-new-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
  if (type === "calibration") return { key: "calibration", type, kind, name: gettext("Calibration"), points, road: points.map(() => [null, null]) };
  const shape = { key, type, kind, name: freeName(kind, shapes), points, classes: [] };
  return type === "line" ? shape : { ...shape, directionDegrees: kind === "lane" ? 90 : null, minimumSeconds: 0 };
}

function freeName(kind, shapes) {
  const taken = new Set(shapes.map(({ name }) => name));
  for (let number = 1; ; number += 1) {
    const name = interpolate(NAMES[kind] ?? NAMES.include, [number]);
    if (!taken.has(name)) return name;
  }
}

/** The shapes with one of them changed. */
export function changed(shapes, key, fields) {
  return shapes.map((each) => (each.key === key ? { ...each, ...fields } : each));
}

export function without(shapes, key) {
  return shapes.filter((each) => each.key !== key);
}

export function clamp(point) {
  return point.map((share) => Number(Math.min(1, Math.max(0, share)).toFixed(DIGITS)));
}

export function withCorner(points, index, point) {
  return points.with(index, clamp(point));
}

export function withCornerAfter(points, index, point) {
  return points.toSpliced(index + 1, 0, clamp(point ?? middle(points[index], points[(index + 1) % points.length])));
}

export function withoutCorner(points, index) {
  return points.toSpliced(index, 1);
}

/** The whole shape moved as far as the picture goes. */
export function moved(points, [dx, dy]) {
  const [right, down] = [[0, dx], [1, dy]].map(([axis, way]) => {
    const shares = points.map((point) => point[axis]);
    return Math.min(1 - Math.max(...shares), Math.max(-Math.min(...shares), way));
  });
  return points.map(([x, y]) => clamp([x + right, y + down]));
}

export function middle([ax, ay], [bx, by]) {
  return [(ax + bx) / 2, (ay + by) / 2];
}

export function centre(points) {
  const sum = points.reduce(([sx, sy], [x, y]) => [sx + x, sy + y], [0, 0]);
  return sum.map((each) => each / points.length);
}

/** A place in words. */
export function spellPoint([x, y]) {
  return interpolate(gettext("%(x)s % from the left, %(y)s % from the top"), { x: (100 * x).toFixed(1), y: (100 * y).toFixed(1) }, true);
}
