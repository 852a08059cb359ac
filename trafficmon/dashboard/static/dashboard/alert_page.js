// The page of one alert: its burst as a short loop, and the levels that fit a judgement.

const { gettext, interpolate } = window;

const BETWEEN_MS = 350;
/** The last is what was judged: it stays long enough to be looked at. */
const LAST_MS = 1_400;
const ZOOM_WIDTH = 640;

/** Plays the pictures in time order, whole and cut to the place that was judged. */
class Burst {
  #last;
  #marks;
  #which;
  #button;
  #moments;
  #zoom;
  #place;
  #width;
  #now;
  #timer = null;

  constructor(figure) {
    const part = (name) => figure.querySelector(`[data-part="${name}"]`);
    this.#last = part("last");
    this.#marks = part("marks");
    this.#which = part("which");
    this.#button = part("play");
    this.#place = figure.dataset.place.split(" ").map(Number);
    this.#width = Number(figure.dataset.width);
    this.#moments = [...figure.querySelectorAll('[data-part="moment"]')].map((small) => this.#overlay(small));
    this.#now = this.#moments.length;
    this.#zoom = document.querySelector('[data-part="zoom"]');
    this.#button.hidden = false;
    this.#button.addEventListener("click", () => (this.#timer ? this.pause() : this.play()));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.pause();
    });
  }

  /** Whether all pictures can be drawn; one that is gone leaves a burst that is not worth playing. */
  async load() {
    await Promise.all([...this.#moments, this.#last].map((picture) => picture.decode()));
    if (!this.#zoom) return;
    const [x1, y1, x2, y2] = this.#place;
    this.#zoom.width = ZOOM_WIDTH;
    this.#zoom.height = Math.max(Math.round((ZOOM_WIDTH * (y2 - y1)) / (x2 - x1)), 1);
    this.#zoom.hidden = false;
    document.querySelector('[data-part="crop"]').classList.add("unseen");
    this.#show();
  }

  play() {
    this.#button.textContent = gettext("Pause");
    this.#step();
  }

  /** Rests on the picture that was judged. */
  pause() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#button.textContent = gettext("Play");
    this.#now = this.#moments.length;
    this.#show();
  }

  #overlay(small) {
    const picture = new Image();
    picture.src = small.src;
    picture.alt = "";
    picture.className = "overlay";
    picture.hidden = true;
    this.#last.after(picture);
    return picture;
  }

  #step() {
    this.#now = (this.#now + 1) % (this.#moments.length + 1);
    this.#show();
    this.#timer = setTimeout(() => this.#step(), this.#now === this.#moments.length ? LAST_MS : BETWEEN_MS);
  }

  #show() {
    for (const [index, picture] of this.#moments.entries()) picture.hidden = index !== this.#now;
    // Nothing was detected in the earlier ones, so nothing is drawn on them.
    this.#marks.toggleAttribute("hidden", this.#now !== this.#moments.length);
    this.#which.textContent = interpolate(gettext("Picture %s of %s"), [this.#now + 1, this.#moments.length + 1]);
    if (this.#zoom) this.#draw(this.#moments[this.#now] ?? this.#last);
  }

  #draw(picture) {
    const scale = picture.naturalWidth / this.#width;
    const [x1, y1, x2, y2] = this.#place.map((each) => each * scale);
    const { width, height } = this.#zoom;
    this.#zoom.getContext("2d").drawImage(picture, x1, y1, x2 - x1, y2 - y1, 0, 0, width, height);
  }
}

async function startBurst(figure) {
  const burst = new Burst(figure);
  try {
    await burst.load();
  } catch {
    figure.querySelector('[data-part="play"]').hidden = true;
    return;
  }
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) burst.pause();
  else burst.play();
}

/** Levels that do not fit what is said cannot be chosen. */
function fitLevels(form) {
  const levels = form.elements.right_level;
  const fit = () => {
    const { value } = form.elements.truth;
    const fitting = { true: form.dataset.levelsTrue, false: form.dataset.levelsFalse }[value]?.split(" ");
    for (const option of levels.options) option.disabled = Boolean(option.value && fitting && !fitting.includes(option.value));
    if (levels.selectedOptions[0]?.disabled) levels.value = "";
  };
  form.addEventListener("change", fit);
  fit();
}

/** Back to the list as it was narrowed, where the reader comes from one. */
function keepFilters(link) {
  if (document.referrer.startsWith(link.href)) link.href = document.referrer;
}

keepFilters(document.querySelector(".back a"));
const figure = document.querySelector('[data-part="burst"]');
if (figure?.querySelector('[data-part="moment"]')) startBurst(figure);
const judge = document.querySelector('form[data-part="judge"]');
if (judge) fitLevels(judge);
