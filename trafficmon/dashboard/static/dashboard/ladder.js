// How far assessment is reduced, in words.

const { gettext, interpolate } = window;

const LEVELS = {
  urgent_only: gettext("only urgent groups are judged"),
  cheaper_model: gettext("only urgent groups are judged, by a cheaper model"),
  geometry_only: gettext("the model is not asked, nothing is judged"),
  detection_only: gettext("nothing is judged, road users are only detected"),
};

const REASONS = {
  too_late: gettext("answers come too late"),
  keys_cooling: gettext("the key pool cannot keep up"),
  database_slow: gettext("the database cannot keep up"),
  budget_scarce: gettext("the day's budget is nearly used up"),
  budget_spent: gettext("the day's budget is used up"),
  no_key: gettext("no API key can be used"),
  switched_off: gettext("it is switched off"),
};

/** One sentence; empty where everything is judged, or for a level of a later version. */
export function reduction({ level, reason } = {}) {
  if (!LEVELS[level]) return "";
  const words = { level: LEVELS[level], reason: REASONS[reason] ?? reason };
  return interpolate(gettext("Assessment is reduced: %(level)s (%(reason)s)."), words, true);
}
