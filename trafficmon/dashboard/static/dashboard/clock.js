// Time as the server sees it: ages are counted from the moment of capture, whatever this computer's clock says.

const { gettext, interpolate } = window;

let skewMilliseconds = 0;
let surest = Infinity;

/** Take the server's clock from an answer that travelled `roundTrip` ms; the quickest answer is the surest. */
export function correct(serverTime, roundTrip = 60_000) {
  const loosened = surest * 1.2 + 50;
  if (roundTrip > loosened) return;
  surest = roundTrip;
  skewMilliseconds = Date.parse(serverTime) - (Date.now() - Math.min(roundTrip, 2_000) / 2);
}

/** The server's time now, in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + skewMilliseconds;
}

export function secondsSince(moment) {
  return (serverNow() - Date.parse(moment)) / 1000;
}

// Times are those of the installation, as on every other page, wherever the reader's computer thinks it is.
const { lang, dataset: { timeZone } } = document.documentElement;
const clockTime = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone });
const day = new Intl.DateTimeFormat("en-CA", { dateStyle: "short", timeZone });

/** A moment as people read it: the time, before it the day when that is not today. */
export function spellMoment(moment) {
  const when = new Date(moment);
  const time = clockTime.format(when);
  return day.format(when) === day.format(serverNow()) ? time : `${day.format(when)} ${time}`;
}

/** An age in words: tenths below ten seconds, then seconds, minutes, hours. */
export function spellAge(seconds) {
  const age = Math.max(0, seconds);
  if (age < 10) return interpolate(gettext("%s s ago"), [age.toFixed(1)]);
  if (age < 100) return interpolate(gettext("%s s ago"), [Math.floor(age)]);
  if (age < 5_400) return interpolate(gettext("%s min ago"), [Math.floor(age / 60)]);
  return interpolate(gettext("%s h ago"), [Math.floor(age / 3_600)]);
}
