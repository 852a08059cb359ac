// One camera on the wall.

import { secondsSince, serverNow, spellAge, spellMoment } from "./clock.js";
import { draw, groupAt, LEVEL_NAMES } from "./drawing.js";
import { legend } from "./unasked.js";
import { VERDICT_SECONDS, Verdicts } from "./verdicts.js";

const { gettext, interpolate } = window;

const LEAST_PATIENCE = 10;
const OFFLINE_AFTER = 60;
/** A camera that stops may still be read for so long. */
const LAST_FRAMES_SECONDS = 3;
const TRAIL_POINTS = 5;
const LONGEST_STEP = 0.15;
const TRAIL_SECONDS = 10;
const DOWN = new Set(["offline", "stopped"]);
const NOT_SAFE = gettext("Not judged; this does not mean safe.");
const NOT_ASKED = {
  "the camera's cooldown has not passed": gettext("Not asked: cooldown"),
  "assessment is switched off": gettext("Not asked: assessment is switched off"),
  "nothing looks dangerous enough to ask": gettext("Not asked: nothing looks dangerous"),
  "assessment is reduced: only urgent groups are asked about": gettext("Not asked: assessment is reduced"),
  "assessment is reduced: no model is asked": gettext("Not asked: assessment is reduced"),
};

export class Tile {
  #element;
  #parts;
  #frame = null;
  #groups = [];
  #bitmap = null;
  #next = null;
  #decoding = false;
  #status = null;
  #verdict = null;
  #verdicts = new Verdicts();
  #trails = new Map();
  #linked = true;
  #stretch = 1;
  #seen = true;
  #onSize;

  /** `onSize` is called when pictures of another size are wanted. */
  constructor(element, onSize = () => null) {
    this.#element = element;
    this.#onSize = onSize;
    this.#parts = Object.fromEntries([...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#parts.enlarge.addEventListener("click", () => this.#enlarge());
    this.#parts.canvas.addEventListener("pointermove", (event) => this.#explain(event));
    new ResizeObserver(() => this.#fit()).observe(this.#parts.canvas);
    new IntersectionObserver(([{ isIntersecting }]) => this.#scrolled(isIntersecting), { rootMargin: "200px" }).observe(element);
  }

  get element() { return this.#element; }

  get isLarge() { return this.#element.classList.contains("large"); }

  /** Of the picture on the screen, in its own pixels. */
  get width() { return Math.round(this.#parts.canvas.clientWidth * devicePixelRatio); }

  rename(name, interval) {
    this.#parts.name.textContent = name;
    this.#element.dataset.interval = interval;
    this.#parts.canvas.setAttribute("aria-label", name);
  }

  /** A newer frame: decoded off the main thread and only where it is seen; while one is decoded only the newest waits. */
  show(frame, jpeg) {
    this.#next = { frame, jpeg };
    this.#decode();
  }

  async #decode() {
    if (this.#decoding) return;
    this.#decoding = true;
    while (this.#next && this.#seen) {
      const { frame, jpeg } = this.#next;
      this.#next = null;
      const resizeWidth = Math.min(frame.imageWidth, this.#parts.canvas.width);
      const bitmap = await createImageBitmap(jpeg, { resizeWidth, resizeQuality: "medium" }).catch(() => null);
      if (bitmap) this.#take(frame, bitmap);
    }
    this.#decoding = false;
  }

  #scrolled(seen) {
    this.#seen = seen;
    this.#decode();
  }

  #take(frame, bitmap) {
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    this.#frame = frame;
    this.#verdicts.remember(frame);
    this.#followTracks(frame);
    if (frame.frameTimestamp) this.#keepVerdict({ ...frame, assessmentStatus: frame.verdictStatus, partial: frame.verdictPartial });
    this.#redraw();
    this.tick();
  }

  judge(verdict) {
    this.#keepVerdict(verdict);
    if (this.#verdicts.apply(verdict)) this.#redraw();
    this.tick();
  }

  #keepVerdict({ frameTimestamp, assessmentStatus, partial, maxRiskLevel, dangerousDrivingResults }) {
    if (this.#verdict && this.#verdict.frameTimestamp > frameTimestamp) return;
    const worst = dangerousDrivingResults.find((each) => each.riskLevel === maxRiskLevel);
    const answered = dangerousDrivingResults.length > 0;
    this.#verdict = { frameTimestamp, assessmentStatus, partial, answered, level: maxRiskLevel, words: worst?.description ?? "" };
  }

  report(status) {
    this.#status = status;
    this.tick();
  }

  /** Whether the feed is connected: what cannot be known is not shown as live. */
  link(linked) {
    this.#linked = linked;
    this.tick();
  }

  /** By what the interval is multiplied for want of detection workers: a picture that is late for that is not old. */
  stretch(factor) {
    this.#stretch = factor;
    this.tick();
  }

  point(pointed) {
    this.#element.classList.toggle("pointed", pointed);
  }

  /** Once a second: the age of the picture, and whether it may still be called live. */
  tick() {
    const newest = this.#next?.frame ?? this.#frame;
    const age = newest ? secondsSince(newest.timestamp) : null;
    const [live, badge, note] = this.#liveness(newest, age);
    this.#element.dataset.live = live;
    say(this.#parts.badge, badge);
    say(this.#parts.note, note);
    say(this.#parts.age, age === null ? "" : spellAge(age));
    const [level, risk, words] = live === "live" ? this.#risk(newest) : ["unknown", "–", ""];
    this.#element.dataset.risk = level;
    this.#parts.risk.dataset.level = level;
    say(this.#parts.risk, risk);
    say(this.#parts.words, words);
    this.#parts.words.title = words;
  }

  #liveness(newest, age) {
    const { state, since, message } = this.#status ?? {};
    const patience = Math.max(LEAST_PATIENCE, 3 * this.#stretch * Number(this.#element.dataset.interval) + 4);
    if (state === "stopped" && !isLater(newest, since)) return ["offline", gettext("stopped"), gettext("Stopped. An operator can start it.")];
    if (age === null) return DOWN.has(state) ? this.#offline(since, message) : ["waiting", gettext("waiting"), gettext("Waiting for the first picture…")];
    if (age > patience && (DOWN.has(state) || age > OFFLINE_AFTER)) return this.#offline(since ?? newest.timestamp, message);
    const moment = spellMoment(newest.timestamp);
    if (age > patience) return ["stale", interpolate(gettext("stale since %s"), [moment]), gettext("No new picture. This is an old one.")];
    if (!this.#linked) return ["stale", gettext("not connected"), gettext("Not connected to the service. This is an old picture.")];
    return ["live", gettext("live"), ""];
  }

  #offline(since, message) {
    const badge = since ? interpolate(gettext("offline since %s"), [spellMoment(since)]) : gettext("offline");
    return ["offline", badge, message || gettext("No picture arrives from this camera.")];
  }

  #risk(newest) {
    const own = newest.assessmentStatus;
    const verdict = this.#verdict;
    const judged = verdict?.answered && secondsSince(verdict.frameTimestamp) < VERDICT_SECONDS ? readVerdict(verdict) : null;
    if (judged) return judged;
    if (own === "pending") return ["assessing", gettext("Assessing…"), ""];
    if (own === "failed" || verdict?.assessmentStatus === "failed") return ["failed", gettext("Assessment failed"), NOT_SAFE];
    if (own === "expired" || verdict?.assessmentStatus === "expired") return ["failed", gettext("Assessment too late"), NOT_SAFE];
    return ["unknown", NOT_ASKED[newest.assessmentReason] ?? gettext("Nothing to assess"), ""];
  }

  #followTracks(frame) {
    const now = Date.parse(frame.timestamp);
    for (const { trackId, bbox: [x1, , x2, y2] } of frame.detectedObjects) {
      if (trackId === undefined) continue;
      const trail = this.#trails.get(trackId) ?? { points: [], at: now };
      const point = [(x1 + x2) / 2, y2];
      // A step across the picture is a change of identity rather than a way that somebody went.
      const jumped = trail.points.length && Math.hypot(point[0] - trail.points.at(-1)[0], point[1] - trail.points.at(-1)[1]) > LONGEST_STEP * frame.imageWidth;
      trail.points = jumped ? [point] : [...trail.points, point].slice(-TRAIL_POINTS);
      trail.at = now;
      this.#trails.set(trackId, trail);
    }
    for (const [trackId, trail] of this.#trails) if (now - trail.at > TRAIL_SECONDS * 1_000) this.#trails.delete(trackId);
  }

  #redraw() {
    if (!this.#bitmap) return;
    const { canvas } = this.#parts;
    const current = new Set(this.#frame.detectedObjects.map((each) => each.trackId));
    const trails = [...this.#trails].filter(([trackId]) => current.has(trackId)).map(([, trail]) => trail.points);
    this.#groups = this.#verdicts.shownGroups(this.#frame);
    draw(canvas, this.#bitmap, { ...this.#frame, groups: this.#groups, trails });
    say(this.#parts.unasked, legend(this.#groups));
    canvas.dataset.frame = this.#frame.timestamp;
    canvas.dataset.boxes = this.#frame.detectedObjects.length;
    canvas.dataset.groups = this.#frame.trafficGroups.length;
    canvas.setAttribute("aria-label", interpolate(gettext("%s: %s road users"), [this.#parts.name.textContent, this.#frame.detectedObjects.length]));
  }

  /** What the group under the pointer is drawn for: those left out have no words on the picture. */
  #explain(event) {
    const { canvas } = this.#parts;
    const group = this.#frame && groupAt(canvas, event, { ...this.#frame, groups: this.#groups });
    canvas.title = group?.shown.why ?? group?.shown.words ?? "";
  }

  #fit() {
    const { canvas } = this.#parts;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (!width || (canvas.width === width && canvas.height === height)) return;
    canvas.width = width;
    canvas.height = height;
    this.#redraw();
    this.#onSize();
  }

  #enlarge() {
    const large = this.#element.classList.toggle("large");
    this.#parts.enlarge.setAttribute("aria-pressed", String(large));
    if (large) this.#element.scrollIntoView({ block: "nearest" });
  }
}

/** The state of a camera that has stopped just now. */
export function stopped(message) {
  return { state: "stopped", since: new Date(serverNow()).toISOString(), message };
}

/** Whether a frame was captured well after a moment: then what was seen at that moment holds no more. */
function isLater(frame, moment) {
  return Boolean(frame && moment) && Date.parse(frame.timestamp) > Date.parse(moment) + LAST_FRAMES_SECONDS * 1_000;
}

/** How an answered verdict reads. "No danger" is said only where every question of the frame was answered. */
function readVerdict({ assessmentStatus, partial, level, words }) {
  if (level !== "none") return [level, partial ? `${LEVEL_NAMES[level]} · ${gettext("partly assessed")}` : LEVEL_NAMES[level], words];
  if (partial) return ["failed", gettext("Not fully assessed"), gettext("Part of the picture was not judged; this does not mean safe.")];
  return assessmentStatus === "done" ? ["none", LEVEL_NAMES.none, words] : null;
}

/** Writing the same text again would make screen readers and layout work for nothing. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
