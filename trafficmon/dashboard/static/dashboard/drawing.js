// What is drawn over a camera's picture: boxes, the ways road users came, and traffic groups in the colour of their risk.

const { gettext } = window;

const COLOURS = { none: "#3cb894", low: "#e3cd52", medium: "#ff9d3d", high: "#ff5a4f", unknown: "#a9bccd", skipped: "rgba(169, 188, 205, 0.5)" };
const ROAD_USER = "rgba(196, 226, 250, 0.85)";
const VULNERABLE = "rgba(255, 236, 150, 0.95)";
const FIXTURE = "rgba(190, 200, 210, 0.5)";
const UNPROTECTED = new Set(["person", "bicycle", "motorcycle"]);
const FIXTURES = new Set(["traffic_light", "stop_sign"]);

export const LEVEL_NAMES = {
  none: gettext("No danger"),
  low: gettext("Low risk"),
  medium: gettext("Medium risk"),
  high: gettext("High risk"),
};
const CLASS_NAMES = {
  person: gettext("person"), bicycle: gettext("bicycle"), car: gettext("car"), motorcycle: gettext("motorcycle"),
  bus: gettext("bus"), truck: gettext("truck"), traffic_light: gettext("light"), stop_sign: gettext("stop"),
};
const PARKED = gettext("parked");
const AGAINST_LANE = gettext("against its lane");

/**
 * Draw a picture with what was found in it. `groups` carry `shown` ({level, words, earlier}) beside the contract's fields:
 * those left out are faint and without words. `trails` are lists of [x, y] in pixels of the source.
 */
export function draw(canvas, bitmap, { imageWidth, imageHeight, detectedObjects, groups, trails }) {
  const context = canvas.getContext("2d", { alpha: false });
  const { scale, left, top } = placed(canvas, imageWidth, imageHeight);
  const pixel = Math.max(1, devicePixelRatio);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = getComputedStyle(canvas).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.translate(left, top);
  context.drawImage(bitmap, 0, 0, imageWidth * scale, imageHeight * scale);
  const pen = { context, scale, pixel };
  for (const trail of trails) drawTrail(pen, trail);
  for (const each of detectedObjects) drawObject(pen, each);
  for (const group of groups.toSorted(skippedFirst)) drawGroup(pen, group, imageWidth);
}

/** The smallest of `groups` under a mouse event on the canvas, if there is any. */
export function groupAt(canvas, { offsetX, offsetY }, { imageWidth, imageHeight, groups }) {
  const { scale, left, top } = placed(canvas, imageWidth, imageHeight);
  const x = ((offsetX * canvas.width) / canvas.clientWidth - left) / scale;
  const y = ((offsetY * canvas.height) / canvas.clientHeight - top) / scale;
  const under = groups.filter(({ bbox: [x1, y1, x2, y2] }) => x1 <= x && x <= x2 && y1 <= y && y <= y2);
  return under.toSorted((one, other) => area(one.bbox) - area(other.bbox))[0];
}

function placed(canvas, imageWidth, imageHeight) {
  const scale = Math.min(canvas.width / imageWidth, canvas.height / imageHeight);
  return { scale, left: (canvas.width - imageWidth * scale) / 2, top: (canvas.height - imageHeight * scale) / 2 };
}

function area([x1, y1, x2, y2]) {
  return (x2 - x1) * (y2 - y1);
}

// So that what is judged lies on top.
function skippedFirst(one, other) {
  return Number(other.shown.level === "skipped") - Number(one.shown.level === "skipped");
}

function drawTrail({ context, scale, pixel }, points) {
  context.lineWidth = 1.5 * pixel;
  context.lineCap = context.lineJoin = "round";
  for (let index = 1; index < points.length; index += 1) {
    context.strokeStyle = `rgba(120, 200, 255, ${(0.6 * index) / points.length})`;
    context.beginPath();
    context.moveTo(points[index - 1][0] * scale, points[index - 1][1] * scale);
    context.lineTo(points[index][0] * scale, points[index][1] * scale);
    context.stroke();
  }
}

function drawObject({ context, scale, pixel }, each) {
  const [x1, y1, x2, y2] = each.bbox.map((value) => value * scale);
  const scenery = FIXTURES.has(each.class) || each.parked;
  const colour = scenery ? FIXTURE : UNPROTECTED.has(each.class) ? VULNERABLE : ROAD_USER;
  context.setLineDash([]);
  context.lineWidth = 1.25 * pixel;
  context.strokeStyle = colour;
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  if (x2 - x1 < 26 * pixel || FIXTURES.has(each.class)) return;
  const text = [CLASS_NAMES[each.class], each.trackId, each.parked && PARKED, each.againstLane && AGAINST_LANE]
    .filter(Boolean)
    .join(" ");
  context.font = `500 ${10 * pixel}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  context.shadowColor = "#000";
  context.shadowBlur = 3 * pixel;
  context.fillStyle = colour;
  context.fillText(text, x1 + 2 * pixel, y2 - 1 * pixel);
  context.shadowBlur = 0;
}

function drawGroup({ context, scale, pixel }, group, imageWidth) {
  const margin = 4 * pixel;
  const [x1, y1, x2, y2] = group.bbox.map((value) => value * scale);
  const { level, words, earlier } = group.shown;
  const colour = COLOURS[level] ?? COLOURS.unknown;
  const judged = level in LEVEL_NAMES;
  const skipped = level === "skipped";
  context.setLineDash(judged && !earlier ? [] : skipped ? [2 * pixel, 4 * pixel] : [6 * pixel, 4 * pixel]);
  context.lineWidth = (judged && level !== "none" ? 3 : skipped ? 1 : 1.75) * pixel;
  context.strokeStyle = colour;
  context.beginPath();
  context.roundRect(x1 - margin, y1 - margin, x2 - x1 + 2 * margin, y2 - y1 + 2 * margin, 6 * pixel);
  context.stroke();
  context.setLineDash([]);
  if (words) drawLabel({ context, pixel }, words, colour, [x1 - margin, y1 - margin], imageWidth * scale);
}

function drawLabel({ context, pixel }, text, colour, [left, top], width) {
  const height = 17 * pixel;
  context.font = `650 ${11 * pixel}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + 10 * pixel;
  const x = Math.max(0, Math.min(left, width - wide));
  const y = top - height - 1 * pixel < 0 ? top + 2 * pixel : top - height - 1 * pixel;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x, y, wide, height, 4 * pixel);
  context.fill();
  context.fillStyle = "#0b1015";
  context.textBaseline = "middle";
  context.fillText(text, x + 5 * pixel, y + height / 2 + pixel / 2);
}
