// What was drawn, step by step: for undo and redo. Steps with the same tag, as those of one drag, are one step.

const LONGEST = 200;

export class History {
  #past = [];
  #future = [];
  #present;
  #tag = null;

  constructor(present) {
    this.#present = present;
  }

  get present() { return this.#present; }
  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  push(next, tag = null) {
    if (tag === null || tag !== this.#tag) this.#past = [...this.#past, this.#present].slice(-LONGEST);
    this.#present = next;
    this.#future = [];
    this.#tag = tag;
  }

  /** What comes next is a step of its own, whatever its tag. */
  settle() {
    this.#tag = null;
  }

  undo() {
    if (!this.canUndo) return;
    this.#future.push(this.#present);
    this.#present = this.#past.pop();
    this.#tag = null;
  }

  redo() {
    if (!this.canRedo) return;
    this.#past.push(this.#present);
    this.#present = this.#future.pop();
    this.#tag = null;
  }
}
