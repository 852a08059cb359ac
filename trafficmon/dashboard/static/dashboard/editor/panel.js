// Beside the picture: the list of what is drawn, and the fields of what is selected, with what is wrong with it.

import { KINDS } from "./shapes.js";

const { gettext } = window;

/** Dispatches `select` (key), `change` ({key, fields, tag}) and `delete` (key). */
export class Panel extends EventTarget {
  #list;
  #form;
  #nothing;
  #fields;
  #editable;
  #shown = null;

  constructor(root, editable) {
    super();
    this.#list = root.querySelector("#shapes");
    this.#form = root.querySelector("#shape-form");
    this.#nothing = root.querySelector("#nothing-drawn");
    this.#fields = (type) => root.querySelector(`#${type}-fields`).content.cloneNode(true);
    this.#editable = editable;
    this.#list.addEventListener("click", ({ target }) => this.#chosen(target.closest("button")));
    this.#form.addEventListener("input", ({ target }) => this.#typed(target));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("click", ({ target }) => this.#pressed(target.dataset.do));
  }

  /** `problems` are those of each shape by its key: [{field, message}]. */
  show(shapes, selected, problems) {
    this.#drawList(shapes, selected, problems);
    const shape = shapes.find(({ key }) => key === selected);
    this.#form.hidden = !shape || !this.#editable;
    if (this.#form.hidden) this.#shown = null;
    else this.#fill(shape, problems.get(selected) ?? []);
  }

  focusFirst() {
    this.#form.querySelector("[aria-invalid=true]")?.focus();
  }

  #drawList(shapes, selected, problems) {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.#list.replaceChildren(...shapes.map((shape) => entry(shape, shape.key === selected, problems.has(shape.key))));
    this.#nothing.hidden = shapes.length > 0;
    if (focused) this.#list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #chosen(button) {
    if (!button) return;
    this.#say("select", button.dataset.key);
  }

  #fill(shape, problems) {
    if (this.#shown?.key !== shape.key) this.#build(shape);
    this.#shown = shape;
    for (const input of this.#form.querySelectorAll("[name]")) if (input !== document.activeElement) setValue(input, shape, this.#form);
    for (const part of this.#form.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== shape.kind;
    for (const part of this.#form.querySelectorAll("[data-never]")) part.hidden = part.dataset.never.split(" ").includes(shape.kind);
    this.#mark(problems);
  }

  #build({ type }) {
    const fields = this.#fields(type);
    const kinds = fields.querySelector("[name=kind]");
    const zoneKinds = Object.entries(KINDS).filter(([code]) => code !== "line" && code !== "calibration");
    kinds?.append(...zoneKinds.map(([code, words]) => new Option(words, code)));
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", className: "quiet danger", textContent: gettext("Delete") });
    remove.dataset.do = "delete";
    const title = document.createElement("h3");
    title.textContent = gettext("Selected");
    this.#form.replaceChildren(title, fields, remove);
  }

  #mark(problems) {
    for (const said of this.#form.querySelectorAll(".problem")) said.remove();
    for (const input of this.#form.querySelectorAll("[name]")) input.removeAttribute("aria-invalid");
    for (const { field, message } of problems) {
      const said = document.createElement("p");
      Object.assign(said, { className: "problem", textContent: message });
      const input = this.#form.querySelector(`[name="${CSS.escape(field)}"]`);
      input?.setAttribute("aria-invalid", "true");
      if (input) input.closest(".field, fieldset").append(said);
      else this.#form.querySelector("h3").after(said);
    }
  }

  #typed(input) {
    const { key } = this.#shown;
    this.#say("change", { key, fields: read(input, this.#form), tag: `type ${key} ${input.name}` });
  }

  #pressed(what) {
    if (what === "delete") this.#say("delete", this.#shown.key);
    if (what === "turn-round") this.#say("change", { key: this.#shown.key, fields: { points: this.#shown.points.toReversed() }, tag: null });
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function entry({ key, name, kind }, isSelected, isWrong) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.key = key;
  button.dataset.kind = kind;
  button.setAttribute("aria-pressed", String(isSelected));
  const words = document.createElement("span");
  words.className = "shape-name";
  words.textContent = name || "–";
  const what = document.createElement("span");
  what.className = "muted";
  what.textContent = isWrong ? gettext("to be mended") : KINDS[kind];
  button.classList.toggle("wrong", isWrong);
  button.append(words, what);
  const row = document.createElement("li");
  row.append(button);
  return row;
}

function setValue(input, shape, form) {
  if (input.name === "classes") input.checked = shape.classes.includes(input.value);
  else if (input.name === "road") {
    const number = [...form.querySelectorAll("[name=road]")].indexOf(input);
    input.value = shape.road[Math.floor(number / 2)][number % 2] ?? "";
  } else input.value = shape[input.name] ?? "";
}

function read(input, form) {
  const all = [...form.querySelectorAll(`[name="${input.name}"]`)];
  if (input.name === "classes") return { classes: all.filter(({ checked }) => checked).map(({ value }) => value) };
  if (input.name === "road") return { road: [0, 1, 2, 3].map((place) => [number(all[2 * place]), number(all[2 * place + 1])]) };
  return { [input.name]: input.type === "number" ? number(input) : input.value };
}

/** What was typed as a number; null where that is none. */
function number({ valueAsNumber }) {
  return Number.isFinite(valueAsNumber) ? valueAsNumber : null;
}
