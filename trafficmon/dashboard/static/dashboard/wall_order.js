// The order of a layout's cameras: dragged by mouse or finger, or moved by the arrow keys on a camera's handle, and kept.

import { token } from "./editor/saving.js";

const { gettext, interpolate } = window;

const KEEP_AFTER_MS = 400;

/** `follow` is told the cameras' numbers in their new order, at once. What is returned says whether one is being dragged. */
export function keepOrder(wall, follow) {
  const state = { isMoving: false };
  if (!wall.dataset.order) return state;
  const place = document.querySelector("#place");
  let waiting = 0;

  function settle(tile) {
    const all = tilesOf(wall);
    const words = { name: tile.querySelector("[data-part=name]").textContent.trim(), place: all.indexOf(tile) + 1, count: all.length };
    place.textContent = interpolate(gettext("%(name)s: place %(place)s of %(count)s"), words, true);
    follow(all.map(numberOf));
    clearTimeout(waiting);
    waiting = setTimeout(keep, KEEP_AFTER_MS, wall);
  }

  wall.addEventListener("pointerdown", (event) => {
    const tile = event.target.closest(".move")?.closest(".tile");
    if (tile && event.button === 0) drag(wall, tile, event.pointerId, state, settle);
  });
  wall.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".move")?.closest(".tile");
    if (!tile || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = wanted(wall, tile, event.key);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    put(wall, tile, to);
    event.target.focus();
    tile.scrollIntoView({ block: "nearest" });
    settle(tile);
  });
  return state;
}

function tilesOf(wall) {
  return [...wall.querySelectorAll(":scope > .tile")];
}

function numberOf(tile) {
  return Number(tile.dataset.camera);
}

/** The place, from 0, to which a key moves the tile; null for other keys. */
function wanted(wall, tile, key) {
  const all = tilesOf(wall);
  const row = all.filter((each) => each.offsetTop === all[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -all.length, End: all.length };
  if (!(key in steps)) return null;
  return Math.min(Math.max(all.indexOf(tile) + steps[key], 0), all.length - 1);
}

function put(wall, tile, to) {
  const others = tilesOf(wall).filter((each) => each !== tile);
  wall.insertBefore(tile, others[to] ?? others.at(-1)?.nextSibling ?? null);
}

// While it is dragged only the look changes: a node that is taken out and put back would lose the finger.
function drag(wall, tile, pointerId, state, settle) {
  const before = tilesOf(wall);
  let shown = before;
  state.isMoving = true;
  tile.classList.add("moving");

  function over(event) {
    if (event.pointerId !== pointerId) return;
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest(".tile");
    if (!target || target === tile || !shown.includes(target)) return;
    const others = shown.filter((each) => each !== tile);
    others.splice(shown.indexOf(target), 0, tile);
    shown = others;
    shown.forEach((each, number) => { each.style.order = number; });
  }

  function finish(isKept) {
    document.removeEventListener("pointermove", over);
    document.removeEventListener("pointerup", drop);
    document.removeEventListener("pointercancel", giveUp);
    document.removeEventListener("keydown", giveUpByKey, true);
    state.isMoving = false;
    tile.classList.remove("moving");
    for (const each of before) each.style.order = "";
    if (!isKept || shown === before) return;
    wall.append(...shown);
    settle(tile);
  }

  const drop = (event) => { if (event.pointerId === pointerId) finish(true); };
  const giveUp = (event) => { if (event.pointerId === pointerId) finish(false); };
  const giveUpByKey = (event) => { if (event.key === "Escape") finish(false); };
  document.addEventListener("pointermove", over);
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", giveUp);
  document.addEventListener("keydown", giveUpByKey, true);
}

async function keep(wall) {
  const body = new FormData();
  for (const tile of tilesOf(wall)) body.append("cameras", tile.dataset.camera);
  const headers = { "X-CSRFToken": token() };
  const answer = await fetch(wall.dataset.order, { method: "POST", headers, body, redirect: "error" }).catch(() => null);
  document.querySelector("#unkept").hidden = Boolean(answer?.ok);
}
