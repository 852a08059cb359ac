// Why no model is asked about a traffic group, in words.

const { gettext, interpolate } = window;

const REASONS = {
  switched_off: gettext("assessment is switched off"),
  too_few_road_users: gettext("fewer than two road users"),
  low_prior: gettext("does not look dangerous"),
  cooldown: gettext("cooldown"),
  duplicate_of_recent: gettext("judged a moment ago"),
  urgent_only: gettext("assessment is reduced"),
  no_model: gettext("assessment is reduced"),
};
const UNKNOWN = gettext("for a reason not told");

/** Of one group that is left out, for somebody who points at it. */
export function whyUnasked({ skipReason }) {
  return interpolate(gettext("Not asked: %s"), [REASONS[skipReason] ?? UNKNOWN]);
}

/** Of all groups of a picture that are drawn as left out: how many for which reason; "" where there are none. */
export function legend(groups) {
  const counts = new Map();
  for (const { shown, skipReason } of groups) {
    if (shown.level !== "skipped") continue;
    const words = REASONS[skipReason] ?? UNKNOWN;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const told = [...counts].map(([words, count]) => `${count} × ${words}`);
  return told.length ? interpolate(gettext("Not asked: %s"), [told.join(" · ")]) : "";
}
