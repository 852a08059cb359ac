// The alert list: filters that leave a short URL, rows that come as they are scrolled to, and what is selected.

import { followLink } from "./more_rows.js";

const { gettext, interpolate } = window;

const part = (name) => document.querySelector(`[data-part="${name}"]`);

function shortenUrl(form) {
  form.addEventListener("submit", () => {
    const empty = [...form.elements].filter(({ name, value }) => name && !value);
    for (const field of empty) field.disabled = true;
    // Back on this page, they are there again.
    setTimeout(() => { for (const field of empty) field.disabled = false; });
  });
  form.addEventListener("change", ({ target }) => { if (target.tagName === "SELECT") form.requestSubmit(); });
}

/** Up and down among the rows, while one of their links has the focus. */
function walkByKeyboard(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(".row-link, .choose input")) return;
    const alike = [...list.querySelectorAll(event.target.matches(".row-link") ? ".row-link" : ".choose input")];
    const next = alike[alike.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

/** What can be done with many is offered once some are selected; a row is selected up to another one with Shift. */
function offerForSelected(form, list) {
  const all = form.querySelector('[data-part="all"]');
  const words = form.querySelector('[data-part="selected"]');
  const boxes = () => [...list.querySelectorAll(".choose input")];
  let last = null;

  function show() {
    const count = boxes().filter(({ checked }) => checked).length;
    form.dataset.some = count ? "yes" : "no";
    all.checked = count > 0 && count === boxes().length;
    all.indeterminate = count > 0 && !all.checked;
    words.textContent = count ? interpolate(gettext("With %s selected:"), [count]) : words.dataset.none;
    for (const control of form.querySelectorAll("button, select")) control.disabled = !count;
  }

  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    show();
  });
  list.addEventListener("click", (event) => {
    if (!event.target.matches(".choose input")) return;
    const shown = boxes();
    const [from, to] = [shown.indexOf(last), shown.indexOf(event.target)].toSorted((one, other) => one - other);
    if (event.shiftKey && from >= 0) for (const box of shown.slice(from, to + 1)) box.checked = event.target.checked;
    last = event.target;
    show();
  });
  list.addEventListener("change", show);
  // A page that is gone back to has its boxes as they were.
  window.addEventListener("pageshow", show);
  // Buttons that were clicked belong to the submission until it has left.
  form.addEventListener("submit", () => setTimeout(show));
  show();
}

/** Acknowledges where the reader is, who would otherwise come back to the top of the list. */
function acknowledgeInPlace(list) {
  list.addEventListener("submit", async (event) => {
    const form = event.target;
    const row = form.closest(".row");
    event.preventDefault();
    form.querySelector("button").disabled = true;
    const token = form.elements.csrfmiddlewaretoken.value;
    const address = `/api/alerts/${row.id.slice("alert-".length)}/acknowledge`;
    const answer = await fetch(address, { method: "POST", headers: { "X-CSRFToken": token } }).catch(() => null);
    if (!answer?.ok) {
      // The page that answers says why.
      form.submit();
      return;
    }
    const { data } = await answer.json();
    row.dataset.state = data.state;
    const state = row.querySelector(".state");
    state.dataset.state = data.state;
    state.textContent = gettext("acknowledged");
    state.after(" ", interpolate(gettext("by %s"), [data.acknowledgedBy ?? "–"]));
    if (form.contains(document.activeElement)) row.querySelector(".row-link").focus();
    form.remove();
  });
}

const list = part("rows");
shortenUrl(part("filters"));
if (list) {
  followLink(list, part("told"));
  walkByKeyboard(list);
  acknowledgeInPlace(list);
  if (part("bulk")) offerForSelected(part("bulk"), list);
}
