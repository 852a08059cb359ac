// The sound of a new alert, made of tones. Browsers allow none before the reader's first click or key; who mutes it stays so.

const { gettext } = window;

/** [hertz, from, to] in seconds. */
const TONES = {
  high: [[880, 0, 0.14], [660, 0.17, 0.31], [880, 0.34, 0.52]],
  medium: [[660, 0, 0.16], [520, 0.2, 0.4]],
  lost: [[330, 0, 0.3]],
};
const LOUDNESS = 0.25;
/** Of two alerts at the same time one is enough to look up. */
const LEAST_PAUSE_MS = 1_500;

export class AlertSound {
  #button;
  #state;
  #said;
  #key;
  #context = null;
  #last = -Infinity;

  /** `button` names its user, whose choice is kept in this browser. */
  constructor(button, said) {
    this.#button = button;
    this.#state = button.querySelector('[data-part="state"]');
    this.#said = said;
    this.#key = `alert-sound-${button.dataset.user}`;
    button.addEventListener("click", () => this.#toggle());
    for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, () => this.#allow(), { capture: true });
    addEventListener("storage", ({ key }) => { if (key === this.#key) this.#show(); });
    this.#show();
  }

  get isMuted() { return localStorage.getItem(this.#key) === "muted"; }

  /** For an alert that is new, or more dangerous than before. */
  play(kind) {
    const now = performance.now();
    if (this.isMuted || this.#context?.state !== "running" || now - this.#last < LEAST_PAUSE_MS || !TONES[kind]) return;
    this.#last = now;
    for (const tone of TONES[kind]) this.#sound(tone);
    this.#button.dataset.played = Number(this.#button.dataset.played ?? 0) + 1;
  }

  #sound([hertz, from, to]) {
    const start = this.#context.currentTime + from;
    const end = this.#context.currentTime + to;
    const tone = new OscillatorNode(this.#context, { frequency: hertz, type: "triangle" });
    const volume = new GainNode(this.#context, { gain: 0 });
    // A tone that begins or ends at once clicks.
    volume.gain.setValueAtTime(0, start).linearRampToValueAtTime(LOUDNESS, start + 0.02);
    volume.gain.setValueAtTime(LOUDNESS, end - 0.04).linearRampToValueAtTime(0, end);
    tone.connect(volume).connect(this.#context.destination);
    tone.start(start);
    tone.stop(end);
  }

  #allow() {
    if (this.#context?.state === "running") return;
    this.#context ??= new AudioContext();
    this.#context.resume().then(() => this.#show(), () => null);
  }

  #toggle() {
    localStorage.setItem(this.#key, this.isMuted ? "on" : "muted");
    this.#show();
    this.#said.textContent = this.isMuted ? gettext("Alert sound is muted.") : gettext("Alert sound is on.");
    this.play("medium");
  }

  #show() {
    const waits = this.#context?.state !== "running";
    this.#button.setAttribute("aria-pressed", String(!this.isMuted));
    this.#button.dataset.state = this.isMuted ? "muted" : waits ? "waiting" : "on";
    this.#state.textContent = this.isMuted ? gettext("muted") : waits ? gettext("after a click") : gettext("on");
  }
}
