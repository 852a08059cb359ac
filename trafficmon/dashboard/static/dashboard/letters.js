// Questions that were given up: one box ticks all that are shown.

const form = document.querySelector("[data-part=letters]");

if (form) {
  const all = form.querySelector("[data-part=all-shown]");
  const boxes = [...form.querySelectorAll("[name=letter]")];
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  form.addEventListener("change", () => {
    const ticked = boxes.filter(({ checked }) => checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
  });
}
