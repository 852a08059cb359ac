// To the server and back; and what is not saved yet, kept in this tab in case the page goes away.

const { gettext } = window;

/** What the server said: {status, message, problems, drawing, version}. Status 0: it could not be reached. */
export async function save(address, version, drawing) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token() };
  const body = JSON.stringify({ version, drawing });
  const answer = await fetch(address, { method: "PUT", headers, body }).catch(() => null);
  if (!answer) return { status: 0, message: gettext("The service cannot be reached. Nothing is lost: try again in a moment.") };
  const said = await answer.json().catch(() => ({ message: gettext("The service refused this. Nothing is lost: try again, or sign in anew in another tab.") }));
  return { status: answer.status, ...said };
}

/** The cookie's, where it can be read: signing in anew in another tab changes it. */
export function token() {
  const cookie = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie);
  return cookie?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]").value;
}

export class Draft {
  #name;

  constructor(name) {
    this.#name = name;
  }

  keep(draft) {
    try {
      sessionStorage.setItem(this.#name, JSON.stringify(draft));
    } catch {
      // Without room or leave to store it there is only the page itself, which asks before it is left.
    }
  }

  /** What was kept, or null. */
  find() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#name));
    } catch {
      return null;
    }
  }

  forget() {
    try {
      sessionStorage.removeItem(this.#name);
    } catch {
      // It was not kept either.
    }
  }
}
