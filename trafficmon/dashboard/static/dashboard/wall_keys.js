// The wall by keyboard: arrow keys go from camera to camera, Enter opens one (it is a link), and there f shows the wall on
// the full screen. Elsewhere f is a letter: who speaks to the computer says it without meaning us (WCAG 2.1.4).

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function moveByKeys(wall) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea, summary")) return;
    if (event.key === "f" && wall.contains(event.target)) toggleFullScreen();
    else if (event.key === "Escape") putBack(wall);
    else if (WAYS[event.key] && isAtTheWall(event.target, wall)) move(wall, event);
  });
}

// Elsewhere arrow keys scroll, as readers expect; from the top of the page they lead to the first camera.
function isAtTheWall(target, wall) {
  return wall.contains(target) || target === document.body;
}

function links(wall) {
  return [...wall.querySelectorAll(".tile-name a")];
}

function move(wall, event) {
  const all = links(wall);
  const here = document.activeElement.closest?.(".tile")?.querySelector(".tile-name a");
  const next = here ? nearest(all, here, WAYS[event.key]) : all[0];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.closest(".tile").scrollIntoView({ block: "nearest" });
}

/** The link of the nearest tile that way; one that is beside the way counts as twice as far. */
function nearest(all, here, [right, down]) {
  const from = centre(here);
  const far = (link) => {
    const [x, y] = centre(link);
    const [dx, dy] = [x - from[0], y - from[1]];
    const along = dx * right + dy * down;
    return along < 1 ? Infinity : along + 2 * Math.abs(right ? dy : dx);
  };
  const ordered = all.filter((link) => link !== here).toSorted((one, other) => far(one) - far(other));
  return ordered[0] && far(ordered[0]) < Infinity ? ordered[0] : null;
}

function centre(link) {
  const { left, top, width, height } = link.closest(".tile").getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}

function putBack(wall) {
  for (const button of wall.querySelectorAll(".tile.large .enlarge")) button.click();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => null);
}
