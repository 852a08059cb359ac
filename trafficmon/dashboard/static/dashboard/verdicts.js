// Which risk a traffic group is shown with. A verdict comes seconds after its frame, when newer frames are on screen:
// a group of a newer frame that is plainly the same one is shown with that verdict, dashed, until its own arrives.

import { secondsSince } from "./clock.js";
import { LEVEL_NAMES } from "./drawing.js";
import { whyUnasked } from "./unasked.js";

const { gettext } = window;

const FRAMES_REMEMBERED = 12;
export const VERDICT_SECONDS = 15;
const SAME_PLACE = 0.25;

const STATUS_WORDS = {
  pending: gettext("assessing…"),
  failed: gettext("not assessed: failed"),
  expired: gettext("not assessed: too late"),
};

// What a model said of the group itself needs no word.
const WHOSE_WORDS = {
  geometry: gettext("judged by geometry"),
  reuse: gettext("judged a moment ago"),
};

/** The last frames' groups of one camera, and the dangers found in them. */
export class Verdicts {
  #frames = new Map();
  #dangers = [];
  #early = null;

  remember(frame) {
    this.#frames.set(frame.timestamp, frame);
    while (this.#frames.size > FRAMES_REMEMBERED) this.#frames.delete(this.#frames.keys().next().value);
    for (const group of frame.trafficGroups) this.#noteDanger(frame, group);
    if (this.#early?.frameTimestamp === frame.timestamp) this.apply(this.#early);
  }

  /** Write a verdict into the frame that it belongs to, now or when that frame comes: a picture takes longer. True when now. */
  apply(verdict) {
    const frame = this.#frames.get(verdict.frameTimestamp);
    if (!frame) {
      this.#early = verdict;
      return false;
    }
    frame.assessmentStatus = verdict.assessmentStatus;
    const judged = new Map(verdict.trafficGroups.map((group) => [group.groupIndex, group]));
    for (const group of frame.trafficGroups) {
      Object.assign(group, judged.get(group.groupIndex));
      this.#noteDanger(frame, group);
    }
    return true;
  }

  /** The groups of a frame with what they are `shown` as. */
  shownGroups(frame) {
    this.#dangers = this.#dangers.filter((danger) => secondsSince(danger.timestamp) < VERDICT_SECONDS);
    return frame.trafficGroups.map((group) => ({ ...group, shown: this.#shown(frame, group) }));
  }

  // A judgement takes the place of every earlier one about the same road users, also when it found no danger.
  #noteDanger(frame, group) {
    if (!group.riskLevel) return;
    const members = new Set(trackIds(frame, group));
    this.#dangers = this.#dangers.filter((danger) => danger.timestamp > frame.timestamp || !isSame(danger, group.bbox, members));
    if (group.riskLevel === "none") return;
    this.#dangers.push({ timestamp: frame.timestamp, bbox: group.bbox, members, level: group.riskLevel, words: label(group) });
  }

  #shown(frame, group) {
    if (group.riskLevel) return { level: group.riskLevel, words: group.riskLevel === "none" ? "" : label(group), earlier: false };
    const members = new Set(trackIds(frame, group));
    const earlier = this.#dangers.findLast((danger) => danger.timestamp < frame.timestamp && isSame(danger, group.bbox, members));
    if (earlier) return { level: earlier.level, words: earlier.words, earlier: true };
    if (group.assessmentStatus === "skipped") return { level: "skipped", words: "", why: whyUnasked(group), earlier: false };
    return { level: "unknown", words: STATUS_WORDS[group.assessmentStatus] ?? "", earlier: false };
  }
}

function isSame(danger, bbox, members) {
  return [...members].some((id) => danger.members.has(id)) || overlap(danger.bbox, bbox) > SAME_PLACE;
}

function label(group) {
  return [LEVEL_NAMES[group.riskLevel], group.riskTypes?.[0], WHOSE_WORDS[group.judgedBy]].filter(Boolean).join(" · ");
}

function trackIds(frame, group) {
  return group.memberIndices.map((index) => frame.detectedObjects[index]?.trackId).filter((id) => id !== undefined);
}

function overlap([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const width = Math.min(ax2, bx2) - Math.max(ax1, bx1);
  const height = Math.min(ay2, by2) - Math.max(ay1, by1);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared);
}
