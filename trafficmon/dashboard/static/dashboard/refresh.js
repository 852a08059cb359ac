// A part of a page that is fetched anew every few seconds, as long as somebody can see it.

const { gettext, interpolate } = window;

const stale = document.querySelector("[data-part=stale]");

async function refresh(part) {
  if (document.hidden || part.dataset.fetching === "yes") return;
  part.dataset.fetching = "yes";
  const answer = await fetch(part.dataset.refresh, { redirect: "error", cache: "no-store" }).catch(() => null);
  const text = answer?.ok ? await answer.text().catch(() => null) : null;
  part.dataset.fetching = "no";
  if (text === null) {
    tellStale(part);
    return;
  }
  part.dataset.freshAt = Date.now();
  stale.hidden = true;
  replace(part, text);
}

// Whoever has a button under the finger or the keyboard keeps it.
function replace(part, text) {
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...part.querySelectorAll(".scroll")].map(({ scrollLeft }) => scrollLeft);
  part.innerHTML = text;
  part.querySelectorAll(".scroll").forEach((box, place) => { box.scrollLeft = scrolled[place] ?? 0; });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function tellStale(part) {
  const seconds = Math.round((Date.now() - Number(part.dataset.freshAt)) / 1_000);
  stale.hidden = false;
  stale.textContent = interpolate(gettext("The service does not answer, or you are signed out: what you see is %s s old."), [seconds]);
}

for (const part of document.querySelectorAll("[data-refresh]")) {
  part.dataset.freshAt = Date.now();
  setInterval(refresh, Number(part.dataset.seconds) * 1_000, part);
  document.addEventListener("visibilitychange", () => refresh(part));
}
