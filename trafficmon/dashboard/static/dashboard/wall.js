// The live wall: what the feed says goes to the tile or the strip it concerns.

import { correct, serverNow } from "./clock.js";
import { Feed } from "./feed.js";
import { reduction } from "./ladder.js";
import { AlertSound } from "./sound.js";
import { Strip } from "./strip.js";
import { stopped, Tile } from "./tile.js";
import { moveByKeys } from "./wall_keys.js";
import { keepOrder } from "./wall_order.js";

const { gettext, interpolate } = window;

const wall = document.querySelector("#wall");
const empty = document.querySelector("#empty");
const link = document.querySelector("#link");
const lost = document.querySelector("#lost");
const load = document.querySelector("#load");
const ladder = document.querySelector("#ladder");
const blank = document.querySelector("#tile");
const tiles = new Map();
/** The cameras of the layout in its order; null: all, by name. */
const chosen = wall.dataset.chosen ? new Set(JSON.parse(wall.dataset.chosen)) : null;
const strip = new Strip(document);
const feed = new Feed(() => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws?pictures=binary&width=${shownWidth()}${missedSince()}`);

const receivers = {
  connection_ack: subscribe,
  camera_list: ({ cameras }) => arrange(cameras),
  detection_result: (data, jpeg) => { if (jpeg?.size) tiles.get(data.cameraId)?.show(data, jpeg); },
  assessment_result: (data) => tiles.get(data.cameraId)?.judge(data),
  camera_status: (data) => { if (data.state) tiles.get(data.cameraId)?.report(data); },
  stream_stopped: ({ cameraId, reason }) => tiles.get(cameraId)?.report(stopped(reason)),
  alert: (data) => strip.take(data),
  alert_list: ({ alerts }) => { strip.reconcile(alerts); noteWhole(); },
  load: (data) => { followLoad(data); followLadder(data.ladder); },
};

/** Of an alert that was told of before, nothing is told again. */
const MARGIN_MS = 10_000;

/** When every alert was known, the first time and the last, by the service's clock in ms. A refusal, too, says something, but nothing of alerts. */
let firstWhole = null;
let lastWhole = null;

function noteWhole() {
  lastWhole = serverNow();
  firstWhole ??= lastWhole;
}

/** What the address says so that alerts are told that came and ended while there was no connection. */
function missedSince() {
  return firstWhole === null ? "" : `&since=${new Date(Math.max(firstWhole, lastWhole - MARGIN_MS)).toISOString()}`;
}

/** Below this a stretched interval is within what differs from picture to picture anyway. */
const WORTH_SAYING = 1.05;

let stretch = 1;

function followLoad({ stretch: now, intervalSeconds, usualIntervalSeconds }) {
  stretch = now;
  for (const tile of tiles.values()) tile.stretch(stretch);
  load.hidden = stretch < WORTH_SAYING;
  if (load.hidden) return;
  const seconds = { now: intervalSeconds.toFixed(1), usual: usualIntervalSeconds.toFixed(1) };
  load.textContent = interpolate(gettext("More is asked than can be done: cameras are analysed every %(now)s s instead of every %(usual)s s."), seconds, true);
}

function followLadder(reduced) {
  const words = reduction(reduced);
  ladder.hidden = !words;
  // Said again at each heartbeat: what has not changed is not to be read out anew.
  if (words && ladder.textContent !== words) ladder.textContent = words;
}

function arrange(all) {
  const cameras = chosen ? inOrder(all.filter(({ cameraId }) => chosen.has(cameraId))) : all;
  const wanted = new Set(cameras.map(({ cameraId }) => cameraId));
  for (const [id, tile] of tiles) {
    if (wanted.has(id)) continue;
    tile.element.remove();
    tiles.delete(id);
  }
  for (const { cameraId, name, intervalSeconds } of cameras) {
    if (!tiles.has(cameraId)) tiles.set(cameraId, newTile(cameraId));
    tiles.get(cameraId).rename(name, intervalSeconds);
    if (!order.isMoving) wall.append(tiles.get(cameraId).element);
  }
  empty.hidden = cameras.length > 0;
}

function inOrder(cameras) {
  const places = [...chosen];
  return cameras.toSorted((one, other) => places.indexOf(one.cameraId) - places.indexOf(other.cameraId));
}

function follow(numbers) {
  chosen.clear();
  for (const number of numbers) chosen.add(number);
}

/** In a wall of 50, small pictures are a tenth of what cameras send; only who enlarges a camera gets its own. */
const USUAL_WIDTH = 480;

function shownWidth() {
  const widths = [...tiles.values()].filter(({ isLarge }) => !isLarge).map(({ width }) => width);
  return Math.max(...widths, 0) || USUAL_WIDTH;
}

// A hidden page costs nothing but its alerts and the states of cameras; one that shows a layout has those of all, too.
function subscribe() {
  const framesOf = document.hidden ? [] : chosen ? [...chosen] : undefined;
  const largeOf = [...tiles].filter(([, { isLarge }]) => isLarge).map(([id]) => id);
  feed.send("subscribe", { pictures: "binary", framesOf, pictureWidth: shownWidth(), largeOf });
}

let resizing = null;

/** Tiles have another size, many of them at the same time. */
function followSize() {
  clearTimeout(resizing);
  resizing = setTimeout(subscribe, 300);
}

function newTile(cameraId) {
  const element = blank.content.firstElementChild.cloneNode(true);
  element.dataset.camera = cameraId;
  element.querySelector("[data-part=name]").href = wall.dataset.cameraPage.replace("/0/", `/${cameraId}/`);
  const tile = new Tile(element, followSize);
  tile.stretch(stretch);
  return tile;
}

const LINK_WORDS = { connected: gettext("Connected"), lost: gettext("Connection lost"), "signed out": gettext("Signed out") };

function followLink({ state, pause }) {
  link.dataset.state = state === "connected" ? "connected" : "lost";
  link.textContent = LINK_WORDS[state];
  for (const tile of tiles.values()) tile.link(state === "connected");
  lost.hidden = state === "connected";
  if (state === "lost") lost.textContent = interpolate(gettext("Connection to the service lost: what you see is not live. Trying again in %s s…"), [Math.ceil(pause / 1_000)]);
  if (state === "signed out") location.assign(`${wall.dataset.login}?next=${encodeURIComponent(location.pathname)}`);
}

for (const element of wall.querySelectorAll(".tile")) tiles.set(Number(element.dataset.camera), new Tile(element, followSize));
const sound = new AlertSound(document.querySelector("#sound"), document.querySelector("#sound-said"));
strip.addEventListener("news", ({ detail }) => sound.play(detail.kind));
strip.addEventListener("point", ({ detail }) => tiles.get(detail.cameraId)?.point(detail.pointed));
feed.addEventListener("message", ({ detail }) => receivers[detail.type]?.(detail.data, detail.jpeg));
feed.addEventListener("state", ({ detail }) => followLink(detail));
document.addEventListener("visibilitychange", subscribe);
setInterval(() => {
  if (document.hidden) return;
  for (const tile of tiles.values()) tile.tick();
  strip.tick();
}, 1_000);
const order = keepOrder(wall, follow);
moveByKeys(wall);
correct(wall.dataset.serverTime);
feed.open();
