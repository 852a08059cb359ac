// Shapes as SVG. Sizes are in screen pixels times `unit`, so that they look the same however large the picture is shown.

import { centre, KINDS, middle, spellPoint } from "./shapes.js";

const { gettext, interpolate } = window;

const NAMES_FROM_PX = 480;
const NAMESPACE = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, children = []) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A shape with its name, and when it is `selected` with what it can be changed by. `plane`: {width, height, unit, editable}. */
export function drawShape(shape, plane, selected) {
  const points = shape.points.map((point) => onPlane(point, plane));
  const children = [body(shape, points, plane), ...decorations(shape, points, plane)];
  // On a small screen the names would cover each other.
  if (selected || plane.width / plane.unit >= NAMES_FROM_PX) children.push(label(shape, points, plane));
  if (selected && plane.editable) children.push(...handles(shape, points, plane));
  return svg("g", { class: selected ? "shape selected" : "shape", "data-key": shape.key, "data-kind": shape.kind }, children);
}

export function onPlane([x, y], { width, height }) {
  return [x * width, y * height];
}

function listed(points) {
  return points.map((point) => point.map((each) => each.toFixed(1)).join(",")).join(" ");
}

function body(shape, points, { editable }) {
  const name = interpolate(gettext("%(name)s, %(kind)s"), { name: shape.name, kind: KINDS[shape.kind] }, true);
  const reached = editable ? { tabindex: 0, role: "button", "data-focus": `shape:${shape.key}` } : { role: "img" };
  return svg(shape.type === "line" ? "polyline" : "polygon", { class: "body", points: listed(points), "aria-label": name, ...reached });
}

function decorations(shape, points, plane) {
  if (shape.type === "line") return [...arrow("way", points[0], points[1], plane), ...forward(points, plane)];
  if (shape.type === "calibration") return points.map((point, index) => svg("text", { class: "number", x: point[0] + 9 * plane.unit, y: point[1] - 9 * plane.unit, "font-size": 15 * plane.unit }, [String(index + 1)]));
  if (shape.kind !== "lane" || shape.directionDegrees === null) return [];
  const [from, to] = directionArrow(shape, points, plane);
  return arrow("way", from, to, plane);
}

/** From where to where the arrow of a lane's direction goes, on the plane. */
function directionArrow({ directionDegrees }, points, { unit }) {
  const [x, y] = centre(points);
  const angle = (directionDegrees * Math.PI) / 180;
  const reach = 36 * unit;
  return [[x - reach * Math.cos(angle), y - reach * Math.sin(angle)], [x + reach * Math.cos(angle), y + reach * Math.sin(angle)]];
}

/** Who goes forward over a line goes from its left to its right. */
function forward(points, { unit }) {
  const [x, y] = middle(...points);
  const [dx, dy] = [points[1][0] - points[0][0], points[1][1] - points[0][1]];
  const length = Math.hypot(dx, dy) || 1;
  const reach = 26 * unit;
  return arrow("forward", [x, y], [x - (dy / length) * reach, y + (dx / length) * reach], { unit });
}

function arrow(kind, [ax, ay], [bx, by], { unit }) {
  const angle = Math.atan2(by - ay, bx - ax);
  const wing = (turn) => [bx - 11 * unit * Math.cos(angle + turn), by - 11 * unit * Math.sin(angle + turn)];
  return [
    svg("line", { class: kind, x1: ax, y1: ay, x2: bx, y2: by }),
    svg("polyline", { class: kind, points: listed([wing(0.5), [bx, by], wing(-0.5)]) }),
  ];
}

function label(shape, points, { unit, width }) {
  // The corners of a calibration have their numbers.
  const top = shape.type === "calibration" ? centre(points) : points.reduce((highest, point) => (point[1] < highest[1] ? point : highest));
  const x = Math.min(Math.max(top[0], 8 * unit), width - (9 * shape.name.length + 8) * unit);
  return svg("text", { class: "label", x, y: Math.max(top[1] - 9 * unit, 16 * unit), "font-size": 13 * unit }, [shape.name]);
}

function handles(shape, points, plane) {
  const between = shape.type === "zone" ? points.map((point, index) => betweenHandle(middle(point, points[(index + 1) % points.length]), index, plane)) : [];
  const corners = shape.points.map((share, index) => cornerHandle(shape, points[index], share, index, plane));
  return [...between, ...corners, ...turnHandle(shape, points, plane)];
}

function betweenHandle([x, y], index, { unit }) {
  return svg("g", { class: "between", "data-between": index }, dots(x, y, 4.5, unit));
}

function cornerHandle(shape, [x, y], share, index, { unit }) {
  const words = shape.type === "line" ? [gettext("Start"), gettext("End")][index] : interpolate(gettext("Corner %s"), [index + 1]);
  const said = interpolate(gettext("%(corner)s of %(name)s: %(place)s"), { corner: words, name: shape.name, place: spellPoint(share) }, true);
  const reached = { tabindex: 0, role: "button", "aria-label": said, "data-focus": `corner:${shape.key}:${index}` };
  return svg("g", { class: "handle", "data-corner": index, ...reached }, dots(x, y, 6.5, unit));
}

function turnHandle(shape, points, plane) {
  if (shape.kind !== "lane" || shape.directionDegrees === null) return [];
  const [, [x, y]] = directionArrow(shape, points, plane);
  const said = interpolate(gettext("Direction of %s"), [shape.name]);
  const range = { "aria-valuemin": 0, "aria-valuemax": 359, "aria-valuenow": Math.round(shape.directionDegrees) };
  const reached = { tabindex: 0, role: "slider", "aria-label": said, ...range, "data-focus": `turn:${shape.key}` };
  return [svg("g", { class: "handle turn", "data-turn": "", ...reached }, dots(x, y, 6.5, plane.unit))];
}

// A finger needs more room than the eye.
function dots(x, y, radius, unit) {
  return [svg("circle", { class: "reach", cx: x, cy: y, r: 15 * unit }), svg("circle", { class: "dot", cx: x, cy: y, r: radius * unit })];
}

/** The corners placed so far of a shape that is being drawn, and the pen. */
export function drawPen({ points, at, kind }, plane) {
  const placed = points.map((point) => onPlane(point, plane));
  const [x, y] = onPlane(at, plane);
  const reach = 13 * plane.unit;
  const said = interpolate(gettext("Pen: %(place)s, %(count)s placed"), { place: spellPoint(at), count: points.length }, true);
  return svg("g", { class: "pen", "data-kind": kind }, [
    svg("polyline", { class: "path", points: listed([...placed, [x, y]]) }),
    ...placed.map(([cx, cy]) => svg("circle", { class: "dot", cx, cy, r: 5 * plane.unit })),
    svg("g", { class: "tip", tabindex: 0, role: "button", "aria-label": said, "data-focus": "pen" }, [
      svg("line", { x1: x - reach, y1: y, x2: x + reach, y2: y }),
      svg("line", { x1: x, y1: y - reach, x2: x, y2: y + reach }),
    ]),
  ]);
}
