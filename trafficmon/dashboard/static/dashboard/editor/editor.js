// The editor of what is drawn on a camera's picture: holds the drawing, its history, and what is selected.

import { History } from "./history.js";
import { Panel } from "./panel.js";
import { Draft, save } from "./saving.js";
import { changed, drawingOf, KINDS, newShape, shapesOf, without } from "./shapes.js";
import { Stage } from "./stage.js";

const { gettext, interpolate, ngettext } = window;

const CONFLICT = 409;
const HINTS = {
  line: gettext("Click or tap the two ends. By keyboard: arrow keys move the pen (Shift far, Ctrl fine), Space sets an end, Esc cancels."),
  calibration: gettext("Click or tap four places of a flat road, in order around it. By keyboard: arrow keys move the pen (Shift far, Ctrl fine), Space sets a place, Esc cancels."),
  zone: gettext("Click or tap the corners, and the first one again to end. By keyboard: arrow keys move the pen (Shift far, Ctrl fine), Space sets a corner, Enter ends, Esc cancels."),
};
const HOW_TO = gettext("Drag corners, or the shape itself; the small dots between add a corner. By keyboard: Tab to a corner, arrow keys move it (Shift far, Ctrl fine), + adds one, Del deletes.");

export class Editor {
  #root;
  #stage;
  #panel;
  #history;
  #ids;
  #version;
  #saved;
  #theirs = null;
  #selected = null;
  #problems = new Map();
  #draft;
  #saving = false;

  /** `takeSnapshot` gives the newest picture as a Blob, or null. */
  constructor(root, takeSnapshot) {
    this.#root = root;
    const { drawing, version, kinds, mayDraw, save: address } = root.dataset;
    Object.assign(KINDS, JSON.parse(kinds));
    const editable = mayDraw === "yes";
    this.#stage = new Stage(root.querySelector("#stage"), editable);
    this.#panel = new Panel(root, editable);
    this.#draft = new Draft(address);
    this.#begin(JSON.parse(drawing), version);
    this.#listen();
    if (editable) this.#listenToTools(takeSnapshot);
    if (editable) this.#restore();
    this.#show();
  }

  get isDirty() { return this.#spelled() !== this.#saved; }

  setPicture(blob) {
    return this.#stage.setPicture(blob);
  }

  #begin(drawing, version) {
    const { shapes, ids } = shapesOf(drawing);
    this.#history = new History(shapes);
    this.#ids = ids;
    this.#version = version;
    this.#saved = this.#spelled();
  }

  #spelled() {
    return JSON.stringify(drawingOf(this.#history.present, this.#ids));
  }

  #listen() {
    for (const part of [this.#stage, this.#panel]) {
      part.addEventListener("select", ({ detail }) => this.#select(detail));
      part.addEventListener("change", ({ detail: { key, fields, tag } }) => this.#push(changed(this.#history.present, key, fields), tag));
      part.addEventListener("delete", ({ detail }) => this.#delete(detail));
    }
    this.#stage.addEventListener("settle", () => this.#history.settle());
    this.#stage.addEventListener("drawn", ({ detail }) => this.#add(detail));
    this.#stage.addEventListener("pen", ({ detail }) => this.#followPen(detail));
  }

  #listenToTools(takeSnapshot) {
    const tools = { undo: () => this.#travel("undo"), redo: () => this.#travel("redo"), save: () => this.#save(), theirs: () => this.#showTheirs() };
    this.#root.addEventListener("click", ({ target }) => tools[target.dataset.do]?.());
    this.#root.querySelector("[data-do=snapshot]").addEventListener("click", async () => {
      const blob = await takeSnapshot();
      if (blob) await this.setPicture(blob);
      this.#say(blob ? gettext("New snapshot.") : gettext("There is no picture of this camera yet."));
    });
    for (const button of this.#root.querySelectorAll("[data-add]")) button.addEventListener("click", () => this.#startDrawing(button.dataset.add));
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("beforeunload", (event) => { if (this.isDirty) event.preventDefault(); });
  }

  #key(event) {
    const isText = event.target.matches("input:not([type=checkbox]), select");
    if (isText || !event.ctrlKey || event.altKey) return;
    const wish = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
    if (!wish) return;
    event.preventDefault();
    this.#travel(wish);
  }

  #startDrawing(kind) {
    if (kind === "calibration" && this.#history.present.some(({ type }) => type === "calibration")) {
      this.#select("calibration");
      this.#say(gettext("There is a calibration already: move its places."));
      return;
    }
    this.#select(null);
    this.#hint(HINTS[kind] ?? HINTS.zone);
    this.#stage.begin(kind);
  }

  #followPen(count) {
    if (count === null) this.#hint(this.#selected ? HOW_TO : "");
    else if (count) this.#say(interpolate(ngettext("%s place set.", "%s places set.", count), [count]));
  }

  #add({ kind, points }) {
    const shape = newShape(kind, points, this.#history.present);
    this.#selected = shape.key;
    this.#push([...this.#history.present, shape]);
    this.#hint(HOW_TO);
    this.#stage.focus(`shape:${shape.key}`);
    this.#say(interpolate(gettext("%s added."), [shape.name]));
  }

  #select(key) {
    this.#stage.cancel();
    this.#selected = key;
    this.#history.settle();
    this.#hint(key && this.#root.dataset.mayDraw === "yes" ? HOW_TO : "");
    this.#show();
  }

  #push(shapes, tag = null) {
    this.#history.push(shapes, tag);
    this.#drew();
  }

  #drew() {
    if (this.isDirty) this.#draft.keep({ version: this.#version, shapes: this.#history.present, ids: [...this.#ids] });
    else this.#draft.forget();
    this.#show();
  }

  #delete(key) {
    const { name } = this.#history.present.find((each) => each.key === key);
    this.#selected = null;
    this.#push(without(this.#history.present, key));
    this.#hint("");
    this.#root.querySelector("[data-do=undo]").focus();
    this.#say(interpolate(gettext("%s deleted. Undo brings it back."), [name]));
  }

  #travel(way) {
    this.#stage.cancel();
    this.#history[way]();
    if (!this.#history.present.some(({ key }) => key === this.#selected)) this.#selected = null;
    this.#drew();
    this.#say(way === "undo" ? gettext("Undone.") : gettext("Done again."));
  }

  #restore() {
    const draft = this.#draft.find();
    if (!draft) return;
    this.#version = draft.version;
    for (const [key, id] of draft.ids) this.#ids.set(key, id);
    this.#push(draft.shapes);
    this.#say(gettext("What you had not saved is here again. Undo takes it away."));
  }

  async #save() {
    if (this.#saving) return;
    this.#stage.cancel();
    this.#saving = true;
    this.#show();
    const sent = this.#history.present;
    const said = await save(this.#root.dataset.save, this.#version, drawingOf(sent, this.#ids));
    this.#saving = false;
    if (said.status === 200) this.#wasSaved(sent, said);
    else this.#wasRefused(sent, said);
  }

  // What was drawn while the answer came stays drawn, and unsaved.
  #wasSaved(sent, { drawing, version }) {
    const named = new Map([...drawing.zones.map((each) => [`zone ${each.name}`, each.id]), ...drawing.lines.map((each) => [`line ${each.name}`, each.id])]);
    for (const { key, type, name } of sent) {
      const id = named.get(`${type} ${name.trim()}`);
      if (id) this.#ids.set(key, id);
    }
    this.#version = version;
    this.#saved = JSON.stringify(drawingOf(sent, this.#ids));
    this.#problems = new Map();
    this.#refusal(null);
    this.#drew();
    this.#say(gettext("Saved."));
  }

  #wasRefused(sent, { status, message, problems = [], drawing, version }) {
    this.#theirs = status === CONFLICT ? { drawing, version } : null;
    const parts = { zones: sent.filter(({ type }) => type === "zone"), lines: sent.filter(({ type }) => type === "line"), calibration: sent.filter(({ type }) => type === "calibration") };
    this.#problems = Map.groupBy(problems.map(fieldOf), ({ part, place }) => parts[part][place].key);
    this.#refusal(message);
    const [first] = this.#problems.keys();
    if (first && !this.#problems.has(this.#selected)) this.#selected = first;
    this.#show();
    this.#panel.focusFirst();
  }

  /** Theirs becomes the newest step: undo brings back what was drawn here, which then may be saved over theirs. */
  #showTheirs() {
    const { drawing, version } = this.#theirs;
    const { shapes, ids } = shapesOf(drawing);
    for (const [key, id] of ids) this.#ids.set(key, id);
    this.#version = version;
    this.#selected = null;
    this.#saved = JSON.stringify(drawingOf(shapes, this.#ids));
    this.#refusal(null);
    this.#push(shapes);
    this.#say(gettext("This is their drawing. Undo brings yours back; saving that replaces theirs."));
  }

  #refusal(message) {
    const box = this.#root.querySelector("#refusal");
    box.hidden = !message;
    box.querySelector("p").textContent = message ?? "";
    box.querySelector("button").hidden = !message || !this.#theirs;
  }

  #show() {
    const shapes = this.#history.present;
    this.#stage.show(shapes, this.#selected);
    this.#panel.show(shapes, this.#selected, this.#problems);
    if (this.#root.dataset.mayDraw !== "yes") return;
    const dirty = this.isDirty;
    this.#root.querySelector("[data-do=undo]").disabled = !this.#history.canUndo;
    this.#root.querySelector("[data-do=redo]").disabled = !this.#history.canRedo;
    this.#root.querySelector("[data-do=save]").disabled = !dirty || this.#saving;
    this.#root.querySelector("#unsaved").hidden = !dirty;
  }

  #hint(words) {
    this.#root.querySelector("#hint").textContent = words;
  }

  /** For those who do not see it. */
  #say(words) {
    const said = this.#root.querySelector("#editor-said");
    said.textContent = words;
  }
}

/** The server names fields as the database does. */
function fieldOf({ part, place, field, message }) {
  const names = { direction_degrees: "directionDegrees", minimum_seconds: "minimumSeconds" };
  return { part, place, message, field: part === "calibration" ? "road" : (names[field] ?? field) };
}
