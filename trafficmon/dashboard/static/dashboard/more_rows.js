// Lists that grow as they are scrolled: the server sends the next rows, and with them the link to those after.

const { gettext, interpolate } = window;

/** Rows that come by themselves; after them the reader asks for more, so that a page left open does not grow for ever. */
const MOST_BY_THEMSELVES = 500;
const EARLY = "800px";

/** Replaces the link to older rows by these, again and again, when it comes near; `told` says how many there are. */
export function followLink(list, told) {
  const nearing = new IntersectionObserver((entries) => {
    if (entries.some(({ isIntersecting }) => isIntersecting) && list.children.length < MOST_BY_THEMSELVES) load();
  }, { rootMargin: EARLY });

  async function load() {
    const more = list.querySelector('[data-part="more"]');
    if (!more || more.ariaBusy === "true") return;
    const link = more.querySelector("a");
    more.ariaBusy = "true";
    const address = new URL(link.href);
    address.searchParams.set("part", "rows");
    const answer = await fetch(address, { redirect: "error" }).catch(() => null);
    if (!answer?.ok) {
      more.ariaBusy = "false";
      link.textContent = gettext("Older ones could not be loaded. Try again");
      return;
    }
    const focused = more.contains(document.activeElement);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body.children;
    const rows = [...fresh];
    more.replaceWith(...rows);
    if (focused) rows[0]?.querySelector("a:not([tabindex])")?.focus();
    told.textContent = interpolate(gettext("%s are shown."), [list.querySelectorAll(".row").length]);
    watch();
    list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function watch() {
    nearing.disconnect();
    const more = list.querySelector('[data-part="more"]');
    if (!more) return;
    more.querySelector("a").addEventListener("click", (event) => {
      event.preventDefault();
      load();
    });
    nearing.observe(more);
  }

  watch();
}
