// The live alerts above the wall: worst first, with who has seen them and how long they will stay.

import { secondsSince, serverNow, spellAge, spellMoment } from "./clock.js";

const { gettext, interpolate, ngettext } = window;

const SEVERITY = { high: 3, medium: 2, low: 1, none: 0 };
const LEVELS = { high: gettext("high"), medium: gettext("medium"), low: gettext("low"), none: gettext("none") };
const MOST_CARDS = 30;
/** More cameras lost than this, as when a switch dies, share one card. */
const MOST_LOST_CARDS = 3;
const NAMED = 6;
/** What was told of so many of the latest alerts is no news when it is told again. */
const MOST_REMEMBERED = 1_000;

/** Dispatches `point` ({cameraId, pointed}) while the reader looks at a card, and `news` ({kind}: high, medium, low or lost). */
export class Strip extends EventTarget {
  #list;
  #template;
  #count;
  #calm;
  #announcer;
  #mayOperate;
  #types;
  #lostPage;
  #missed;
  #missedCount = 0;
  /** Of more than these only the latest are told. */
  #mostMissed;
  #alerts = new Map();
  /** Of all alerts that were told of, also those that ended. */
  #remembered = new Set();
  #settled = false;
  #group = null;

  constructor(root) {
    super();
    this.#list = root.querySelector("#alerts");
    this.#template = root.querySelector("#alert-card");
    this.#count = root.querySelector("#alert-count");
    this.#calm = root.querySelector("#calm");
    this.#announcer = root.querySelector("#announcer");
    this.#mayOperate = this.#list.dataset.mayOperate === "yes";
    this.#types = JSON.parse(this.#list.dataset.types);
    this.#lostPage = this.#list.dataset.lost;
    this.#missed = root.querySelector("#missed");
    this.#mostMissed = Number(this.#missed.dataset.most);
    this.#missed.querySelector("button").addEventListener("click", () => this.#countMissed(0));
  }

  take(alert) {
    const known = this.#alerts.get(alert.alertId);
    if (known && known.alert.lastSeenAt > alert.lastSeenAt) return;
    const news = alert.replayed && this.#settled ? this.#news(alert) : alert;
    if (alert.state === "closed") this.#end(alert);
    else this.#keep(alert, known?.card ?? this.#newCard(alert));
    this.#remember(alert.alertId);
    this.#order();
    if (!news.replayed) this.#announce(news);
  }

  /** Every live alert: what is not among them has ended; what was not known, or less dangerous, was lost on its way. */
  reconcile(alerts) {
    const live = new Set(alerts.map(({ alertId }) => alertId));
    for (const id of [...this.#alerts.keys()]) if (!live.has(id)) this.#forget(id);
    this.#settled = true;
    for (const alert of alerts) this.take(alert);
    this.#order();
  }

  /** What is told again to a page that knows the live alerts: news where it was lost on its way. */
  #news(alert) {
    const known = this.#alerts.get(alert.alertId)?.alert;
    if (alert.state !== "open") return alert;
    if (!known) return { ...alert, change: "opened", replayed: false };
    return SEVERITY[alert.riskLevel] > SEVERITY[known.riskLevel] ? { ...alert, change: "escalated", replayed: false } : alert;
  }

  #end({ alertId, replayed }) {
    this.#forget(alertId);
    if (replayed && !this.#remembered.has(alertId)) this.#countMissed(this.#missedCount + 1);
  }

  #remember(id) {
    this.#remembered.add(id);
    const [oldest] = this.#remembered;
    if (this.#remembered.size > MOST_REMEMBERED) this.#remembered.delete(oldest);
  }

  /** Alerts that came and ended while nothing could be told. */
  #countMissed(count) {
    this.#missedCount = count;
    this.#missed.hidden = !count;
    const words = count < this.#mostMissed
      ? ngettext("%s alert came and ended while there was no connection.", "%s alerts came and ended while there was no connection.", count)
      : gettext("%s alerts or more came and ended while there was no connection.");
    this.#missed.querySelector("a").textContent = interpolate(words, [count]);
  }

  tick() {
    for (const { alert, card } of this.#alerts.values()) this.#age(alert, card);
  }

  #keep(alert, card) {
    this.#alerts.set(alert.alertId, { alert, card });
    card.dataset.kind = alert.kind;
    card.dataset.level = alert.riskLevel;
    card.dataset.state = alert.state;
    const part = (name) => card.querySelector(`[data-part="${name}"]`);
    part("level").textContent = isLoss(alert) ? gettext("lost") : LEVELS[alert.riskLevel];
    part("type").textContent = this.#typeName(alert);
    part("words").textContent = alert.description;
    part("link").href = `/alerts/${alert.alertId}/`;
    part("acknowledge").hidden = !this.#mayOperate || alert.state !== "open";
    this.#age(alert, card);
  }

  /** In the page's language; what is of no known kind is called what the model called it. */
  #typeName({ kind, cameraName, type, typeName, riskTypes }) {
    if (kind === "camera_lost") return cameraName;
    const name = this.#types[type] ?? typeName;
    return type === "other" ? riskTypes[0] ?? name : name;
  }

  #age(alert, card) {
    if (isLoss(alert)) this.#ageLoss(alert, card);
    else this.#ageDanger(alert, card);
  }

  /** A lost camera does not count down: it stays until the camera is back. */
  #ageLoss(alert, card) {
    card.dataset.continues = "yes";
    card.querySelector('[data-part="where"]').textContent = [interpolate(gettext("gone since %s"), [spellMoment(alert.openedAt)]), spellAge(secondsSince(alert.openedAt))].join(" · ");
    card.querySelector('[data-part="state"]').textContent = alert.state === "acknowledged" ? seenBy(alert) : gettext("camera lost");
  }

  #ageDanger(alert, card) {
    const continues = serverNow() < Date.parse(alert.staleAt);
    const left = Math.max(0, -secondsSince(alert.closesAt));
    card.dataset.continues = continues ? "yes" : "no";
    card.querySelector('[data-part="where"]').textContent = [alert.cameraName, spellMoment(alert.openedAt), interpolate(gettext("seen %s×"), [alert.timesSeen]), spellAge(secondsSince(alert.lastSeenAt))].join(" · ");
    card.querySelector('[data-part="left"]').value = left;
    const standing = continues ? gettext("continues") : interpolate(gettext("gone, closes in %s s"), [Math.ceil(left)]);
    const seen = alert.state === "acknowledged" ? seenBy(alert) : "";
    card.querySelector('[data-part="state"]').textContent = [standing, seen].filter(Boolean).join(" · ");
  }

  #newCard(alert) {
    const card = this.#template.content.firstElementChild.cloneNode(true);
    card.dataset.alert = alert.alertId;
    card.querySelector('[data-part="acknowledge"]').addEventListener("click", (event) => this.#acknowledge(alert.alertId, event.target));
    for (const [kind, pointed] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]]) {
      card.addEventListener(kind, () => this.dispatchEvent(new CustomEvent("point", { detail: { cameraId: alert.cameraId, pointed } })));
    }
    return card;
  }

  #forget(id) {
    this.#alerts.get(id)?.card.remove();
    this.#alerts.delete(id);
  }

  #order() {
    const open = ({ alert }) => (alert.state === "open" ? 1 : 0);
    const sorted = [...this.#alerts.values()].sort((a, b) =>
      open(b) - open(a) || SEVERITY[b.alert.riskLevel] - SEVERITY[a.alert.riskLevel] || b.alert.openedAt.localeCompare(a.alert.openedAt));
    const wanted = [...new Set(this.#cards(sorted))].slice(0, MOST_CARDS);
    const shown = [...this.#list.children];
    // Moving a card that is in its place would take the focus from its button.
    if (wanted.length !== shown.length || wanted.some((card, index) => card !== shown[index])) this.#list.replaceChildren(...wanted);
    this.#count.textContent = this.#alerts.size;
    this.#calm.hidden = this.#alerts.size > 0;
  }

  /** The card of each alert; of many lost cameras one card, in the place of the first of them. */
  #cards(sorted) {
    const lost = sorted.filter(({ alert }) => isLoss(alert)).map(({ alert }) => alert);
    if (lost.length <= MOST_LOST_CARDS) return sorted.map(({ card }) => card);
    this.#group ??= this.#newGroup();
    const part = (name) => this.#group.querySelector(`[data-part="${name}"]`);
    const unseen = lost.filter(({ state }) => state === "open").length;
    this.#group.dataset.state = unseen ? "open" : "acknowledged";
    part("type").textContent = interpolate(gettext("%s cameras lost"), [lost.length]);
    part("where").textContent = interpolate(gettext("first gone since %s"), [spellMoment(lost.map(({ openedAt }) => openedAt).sort()[0])]);
    const names = lost.map(({ cameraName }) => cameraName).sort(byName).slice(0, NAMED).join(", ");
    part("words").textContent = lost.length > NAMED ? interpolate(gettext("%s and %s more"), [names, lost.length - NAMED]) : names;
    part("state").textContent = unseen ? interpolate(gettext("%s not acknowledged"), [unseen]) : gettext("all seen");
    return sorted.map(({ alert, card }) => (isLoss(alert) ? this.#group : card));
  }

  #newGroup() {
    const card = this.#template.content.firstElementChild.cloneNode(true);
    Object.assign(card.dataset, { kind: "camera_lost", level: "low", continues: "yes", alert: "lost" });
    card.querySelector('[data-part="level"]').textContent = gettext("lost");
    card.querySelector('[data-part="link"]').href = this.#lostPage;
    return card;
  }

  #announce(alert) {
    const { change, cameraName: camera, description: words, riskLevel } = alert;
    if (change !== "opened" && change !== "escalated") return;
    const { card } = this.#alerts.get(alert.alertId) ?? {};
    flash(card?.isConnected ? card : this.#group);
    this.dispatchEvent(new CustomEvent("news", { detail: { kind: isLoss(alert) ? "lost" : riskLevel } }));
    if (isLoss(alert)) this.#announcer.textContent = interpolate(gettext("Camera lost: %(camera)s. %(words)s"), { camera, words }, true);
    else if (change === "escalated") this.#announcer.textContent = interpolate(gettext("Risk has risen to %(level)s at %(camera)s: %(words)s"), { level: LEVELS[riskLevel], camera, words }, true);
    else if (riskLevel === "high") this.#announcer.textContent = interpolate(gettext("High risk at %(camera)s: %(words)s"), { camera, words }, true);
  }

  async #acknowledge(id, button) {
    button.disabled = true;
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const answer = await fetch(`/api/alerts/${id}/acknowledge`, { method: "POST", headers: { "X-CSRFToken": token } }).catch(() => null);
    button.disabled = false;
    if (!answer?.ok) {
      button.textContent = gettext("Try again");
      return;
    }
    const { data } = await answer.json();
    this.take({ ...data, change: "acknowledged" });
  }
}

const byName = new Intl.Collator(document.documentElement.lang, { numeric: true }).compare;

function isLoss({ kind }) {
  return kind === "camera_lost";
}

function seenBy({ acknowledgedBy }) {
  return interpolate(gettext("seen by %s"), [acknowledgedBy ?? "–"]);
}

function flash(card) {
  card?.classList.remove("news");
  // Read so that the browser starts the animation anew.
  void card?.offsetWidth;
  card?.classList.add("news");
}
