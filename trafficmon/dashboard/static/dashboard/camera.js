// The page of one camera: its live picture, drawn as on the wall, what is fetched anew now and then, and the editor.

import { correct } from "./clock.js";
import { Editor } from "./editor/editor.js";
import { token } from "./editor/saving.js";
import { Feed } from "./feed.js";
import { stopped, Tile } from "./tile.js";

const { gettext, interpolate } = window;

const REFRESH_MS = 10_000;
const NO_CONTENT = 204;

const page = document.querySelector("#camera");
const link = document.querySelector("#link");
const lost = document.querySelector("#lost");
const live = document.querySelector("#live");
const activity = document.querySelector("#activity");
const cameraId = Number(page.dataset.camera);
const tile = new Tile(live.querySelector(".tile"));
const editor = new Editor(document.querySelector("#editor"), takeSnapshot);
const feed = new Feed(() => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws?pictures=none`);

let newest = null;
let hasPicture = false;

const receivers = {
  connection_ack: subscribe,
  detection_result: (data, jpeg) => { if (data.cameraId === cameraId && jpeg?.size) showFrame(data, jpeg); },
  assessment_result: (data) => { if (data.cameraId === cameraId) tile.judge(data); },
  camera_status: (data) => { if (data.cameraId === cameraId && data.state) tile.report(data); },
  stream_stopped: (data) => { if (data.cameraId === cameraId) tile.report(stopped(data.reason)); },
  load: ({ stretch }) => tile.stretch(stretch),
};

function subscribe() {
  feed.send("subscribe", { cameraIds: [cameraId], pictures: "binary", framesOf: document.hidden ? [] : undefined });
}

function showFrame(frame, jpeg) {
  newest = jpeg;
  tile.show(frame, jpeg);
  if (hasPicture) return;
  hasPicture = true;
  editor.setPicture(jpeg);
}

/** The picture on screen where the camera is live, else the newest that the service has; null where there is none. */
async function takeSnapshot() {
  if (newest && tile.element.dataset.live === "live") return newest;
  const answer = await fetch(editorAddress(), { cache: "no-store" }).catch(() => null);
  return answer?.ok && answer.status !== NO_CONTENT ? answer.blob() : null;
}

function editorAddress() {
  return document.querySelector("#editor").dataset.snapshot;
}

async function showFirstPicture() {
  const blob = await takeSnapshot();
  if (!blob || hasPicture) return;
  hasPicture = true;
  await editor.setPicture(blob);
}

const LINK_WORDS = { connected: gettext("Connected"), lost: gettext("Connection lost"), "signed out": gettext("Signed out") };

function followLink({ state, pause }) {
  link.dataset.state = state === "connected" ? "connected" : "lost";
  link.textContent = LINK_WORDS[state];
  tile.link(state === "connected");
  lost.hidden = state === "connected";
  if (state === "lost") lost.textContent = interpolate(gettext("Connection to the service lost: what you see is not live. Trying again in %s s…"), [Math.ceil(pause / 1_000)]);
  if (state === "signed out") leave();
}

// What is drawn and not saved would go with the page.
function leave() {
  if (editor.isDirty) lost.textContent = gettext("You are signed out. Sign in in another tab, then save what you have drawn here.");
  else location.assign(`${page.dataset.login}?next=${encodeURIComponent(location.pathname)}`);
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(page.dataset.activity, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) return;
  const focused = activity.contains(document.activeElement) ? document.activeElement.id : "";
  activity.innerHTML = await answer.text();
  if (focused) document.getElementById(focused)?.focus();
}

async function flip(event) {
  const form = event.target.closest("form.switch");
  if (!form) return;
  event.preventDefault();
  form.querySelector("button").disabled = true;
  const headers = { "X-Requested-With": "fetch", "X-CSRFToken": token() };
  await fetch(form.action, { method: "POST", headers, body: new FormData(form), redirect: "error" }).catch(() => null);
  form.querySelector("button").disabled = false;
  form.querySelector("button").focus();
  await refresh();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else live.requestFullscreen().catch(() => null);
}

activity.addEventListener("submit", flip);
document.querySelector("#full-screen").addEventListener("click", toggleFullScreen);
document.addEventListener("keydown", (event) => {
  // A key means the picture only where that has the focus (WCAG 2.1.4); Escape also where nothing has.
  const atPicture = live.contains(event.target);
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "f" && atPicture) toggleFullScreen();
  else if (event.key === "Escape" && !editor.isDirty && (atPicture || event.target === document.body)) document.querySelector(".back a").click();
});
feed.addEventListener("message", ({ detail }) => receivers[detail.type]?.(detail.data, detail.jpeg));
feed.addEventListener("state", ({ detail }) => followLink(detail));
document.addEventListener("visibilitychange", () => {
  subscribe();
  refresh();
});
setInterval(() => { if (!document.hidden) tile.tick(); }, 1_000);
setInterval(refresh, REFRESH_MS);
correct(page.dataset.serverTime);
feed.open();
showFirstPicture();
