// The snapshot with what is drawn on it: pointer, touch and keyboard become wishes, which the editor carries out.

import { drawPen, drawShape, svg } from "./marks.js";
import { clamp, FEWEST, moved, MOST, typeOf, withCorner, withCornerAfter, withoutCorner } from "./shapes.js";

const STEP = 0.005;
const LARGE_STEP = 0.05;
const SMALL_STEP = 0.001;
const TURN = 5;
const CLOSE_PX = 12;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Dispatches `select` (key or null), `change` ({key, fields, tag}), `delete` (key), `settle`, `drawn` ({kind, points})
 * and `pen` (how many corners were placed, null when drawing has ended).
 */
export class Stage extends EventTarget {
  #element;
  #editable;
  #shapes = [];
  #selected = null;
  #size = { width: 1280, height: 720 };
  #picture = null;
  #pen = null;
  #drag = null;
  #drags = 0;

  constructor(element, editable) {
    super();
    this.#element = element;
    this.#editable = editable;
    new ResizeObserver(() => this.#draw()).observe(element);
    if (!editable) return;
    element.addEventListener("pointerdown", (event) => this.#press(event));
    // The browser would move the focus after us.
    element.addEventListener("mousedown", (event) => event.preventDefault());
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", () => this.#release());
    element.addEventListener("pointercancel", () => this.#release());
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  get isDrawing() { return this.#pen !== null; }

  show(shapes, selected) {
    this.#shapes = shapes;
    this.#selected = selected;
    this.#draw();
  }

  /** Draw on this picture from now on. */
  async setPicture(blob) {
    const bitmap = await createImageBitmap(blob).catch(() => null);
    if (!bitmap) return;
    this.#size = { width: bitmap.width, height: bitmap.height };
    bitmap.close();
    if (this.#picture) URL.revokeObjectURL(this.#picture);
    this.#picture = URL.createObjectURL(blob);
    this.#element.setAttribute("viewBox", `0 0 ${this.#size.width} ${this.#size.height}`);
    this.#draw();
  }

  /** Let a new shape of the kind be drawn, corner by corner. */
  begin(kind) {
    this.#pen = { kind, points: [], at: [0.5, 0.5] };
    this.#draw();
    this.focus("pen");
    this.#say("pen", 0);
  }

  cancel() {
    if (!this.#pen) return;
    this.#pen = null;
    this.#draw();
    this.#say("pen", null);
  }

  focus(what) {
    this.#element.querySelector(`[data-focus="${CSS.escape(what)}"]`)?.focus({ preventScroll: true });
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // Everything is drawn anew; what had the focus has it again.
  #draw() {
    const focused = this.#element.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const unit = this.#size.width / (this.#element.clientWidth || this.#size.width);
    const plane = { ...this.#size, unit, editable: this.#editable };
    const ordered = this.#shapes.toSorted((one, other) => Number(one.key === this.#selected) - Number(other.key === this.#selected));
    const drawn = ordered.map((shape) => drawShape(shape, plane, shape.key === this.#selected && !this.#pen));
    const picture = this.#picture ? [svg("image", { href: this.#picture, ...this.#size })] : [];
    this.#element.replaceChildren(...picture, ...drawn, ...(this.#pen ? [drawPen(this.#pen, plane)] : []));
    this.#element.classList.toggle("drawing", this.isDrawing);
    if (focused) this.focus(focused);
  }

  #shape(key = this.#selected) {
    return this.#shapes.find((each) => each.key === key);
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#element.getBoundingClientRect();
    return clamp([(clientX - left) / width, (clientY - top) / height]);
  }

  #press(event) {
    if (event.button !== 0) return;
    if (this.#pen) {
      event.preventDefault();
      this.#pen.at = this.#place(event);
      this.#placeOrFinish(event.pointerType === "touch" ? 2 * CLOSE_PX : CLOSE_PX);
      return;
    }
    const grip = event.target.closest("[data-corner], [data-between], [data-turn]");
    const key = event.target.closest(".shape")?.dataset.key ?? null;
    if (!grip && key !== this.#selected) {
      this.#say("select", key);
      if (key) this.focus(`shape:${key}`);
      else document.activeElement.blur();
      return;
    }
    if (key) this.#seize(event, grip, this.#shape(key));
  }

  #seize(event, grip, shape) {
    this.#drags += 1;
    const { corner, between, turn } = grip?.dataset ?? {};
    let points = shape.points;
    let index = corner === undefined ? null : Number(corner);
    if (between !== undefined) {
      points = withCornerAfter(points, Number(between));
      index = Number(between) + 1;
    }
    this.#drag = { key: shape.key, points, index, turn: turn !== undefined, from: this.#place(event), tag: `drag ${this.#drags}` };
    this.#element.setPointerCapture(event.pointerId);
    const focus = this.#drag.turn ? `turn:${shape.key}` : index === null ? `shape:${shape.key}` : `corner:${shape.key}:${index}`;
    event.preventDefault();
    this.focus(focus);
  }

  #move(event) {
    const at = this.#place(event);
    if (this.#pen && event.pointerType !== "touch") {
      this.#pen.at = at;
      this.#draw();
    }
    if (!this.#drag) return;
    const { key, points, index, turn, from, tag } = this.#drag;
    const way = [at[0] - from[0], at[1] - from[1]];
    if (turn) this.#change(key, { directionDegrees: this.#angle(key, at) }, tag);
    else if (index === null) this.#change(key, { points: moved(points, way) }, tag);
    else this.#change(key, { points: withCorner(points, index, [points[index][0] + way[0], points[index][1] + way[1]]) }, tag);
    if (index !== null) this.focus(`corner:${key}:${index}`);
  }

  #release() {
    if (this.#drag) this.#say("settle");
    this.#drag = null;
  }

  #angle(key, at) {
    const { points } = this.#shape(key);
    const [x, y] = points.reduce(([sx, sy], [px, py]) => [sx + px / points.length, sy + py / points.length], [0, 0]);
    const degrees = (Math.atan2((at[1] - y) * this.#size.height, (at[0] - x) * this.#size.width) * 180) / Math.PI;
    return (Math.round(degrees) + 360) % 360;
  }

  #change(key, fields, tag) {
    this.#say("change", { key, fields, tag });
  }

  #key(event) {
    if (event.altKey || event.metaKey) return;
    const taken = this.#pen ? this.#penKey(event) : this.#shapeKey(event, document.activeElement.dataset?.focus ?? "");
    if (taken) event.preventDefault();
  }

  #way({ key, shiftKey, ctrlKey }) {
    const step = shiftKey ? LARGE_STEP : ctrlKey ? SMALL_STEP : STEP;
    return ARROWS[key]?.map((each) => each * step);
  }

  #penKey(event) {
    const way = this.#way(event);
    if (way) {
      this.#pen.at = clamp([this.#pen.at[0] + way[0], this.#pen.at[1] + way[1]]);
      this.#draw();
    } else if (event.key === " ") this.#placeOrFinish(0);
    else if (event.key === "Enter") this.#finish();
    else if (event.key === "Escape") this.cancel();
    else if (event.key === "Backspace" || event.key === "Delete") this.#takeBack();
    else return false;
    return true;
  }

  /** Another corner; at the first or the last one of enough the shape is finished instead. */
  #placeOrFinish(closePx) {
    const { kind, points, at } = this.#pen;
    const type = typeOf(kind);
    const isClose = (point) => point && this.#pixels(point, at) < closePx;
    if (points.length >= FEWEST[type] && (isClose(points[0]) || isClose(points.at(-1)))) {
      this.#finish();
      return;
    }
    this.#pen.points = [...points, at];
    this.#draw();
    this.focus("pen");
    this.#say("pen", this.#pen.points.length);
    if (this.#pen.points.length === MOST[type]) this.#finish();
  }

  #pixels([ax, ay], [bx, by]) {
    const { width, height } = this.#element.getBoundingClientRect();
    return Math.hypot((ax - bx) * width, (ay - by) * height);
  }

  #takeBack() {
    this.#pen.points = this.#pen.points.slice(0, -1);
    this.#draw();
    this.#say("pen", this.#pen.points.length);
  }

  #finish() {
    const { kind, points } = this.#pen;
    if (points.length < FEWEST[typeOf(kind)]) return;
    this.#pen = null;
    this.#say("pen", null);
    this.#say("drawn", { kind, points });
  }

  #shapeKey(event, focused) {
    const [what, key, number] = focused.split(":");
    const shape = this.#shape(key);
    if (!shape) return false;
    if (what === "corner") return this.#cornerKey(event, shape, Number(number));
    if (what === "turn") return this.#turnKey(event, shape);
    const way = this.#way(event);
    if (way) this.#change(key, { points: moved(shape.points, way) }, `move ${key}`);
    else if (event.key === "Enter" || event.key === " ") this.#open(key);
    else if (event.key === "Delete" || event.key === "Backspace") this.#say("delete", key);
    else if (event.key === "Escape") this.#say("select", null);
    else return false;
    return true;
  }

  #open(key) {
    this.#say("select", key);
    this.focus(`corner:${key}:0`);
  }

  #cornerKey(event, { key, type, points }, index) {
    const way = this.#way(event);
    const isZone = type === "zone";
    if (way) this.#change(key, { points: withCorner(points, index, [points[index][0] + way[0], points[index][1] + way[1]]) }, `corner ${key} ${index}`);
    else if (event.key === "Escape") this.focus(`shape:${key}`);
    else if (isZone && (event.key === "+" || event.key === "Insert")) this.#insert(key, points, index);
    else if (event.key === "Delete" || event.key === "Backspace") this.#removeCorner(key, type, points, index);
    else return false;
    return true;
  }

  #insert(key, points, index) {
    if (points.length >= MOST.zone) return;
    this.#change(key, { points: withCornerAfter(points, index) });
    this.focus(`corner:${key}:${index + 1}`);
  }

  #removeCorner(key, type, points, index) {
    if (points.length <= FEWEST[type]) {
      this.#say("delete", key);
      return;
    }
    this.#change(key, { points: withoutCorner(points, index) });
    this.focus(`corner:${key}:${Math.max(0, index - 1)}`);
  }

  #turnKey(event, { key, directionDegrees }) {
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    if (event.key === "Escape") this.focus(`shape:${key}`);
    else if (right || down) {
      const step = event.shiftKey ? 9 * TURN : event.ctrlKey ? 1 : TURN;
      this.#change(key, { directionDegrees: (directionDegrees + (right || -down) * step + 360) % 360 }, `turn ${key}`);
    } else return false;
    return true;
  }
}
