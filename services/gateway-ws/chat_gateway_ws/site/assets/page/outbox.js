// What was written and is not stored yet, kept beyond a reload of the page, for one person.

import { forget, keys, remember, remembered } from "./storage.js";

/** A Map of messages by their id that writes through to the browser's storage: an entry each, since tabs share it. */
export class Outbox extends Map {
  constructor(userId) {
    super();
    this.prefix = `chat.outbox.${userId}.`;
    this.last = 0; // when the newest one was written; no two have the same time
  }

  /** How many wait, of other tabs too. */
  count() {
    return Math.max(this.size, keys(this.prefix).length);
  }

  /** What earlier visits, or other tabs, have not sent yet, in the order in which it was written. */
  earlier() {
    const entries = keys(this.prefix).map((key) => parsed(remembered(key)));
    return entries
      .filter(Boolean)
      .sort((one, other) => one.at - other.at)
      .map(({ message }) => message);
  }

  set(id, message) {
    if (!this.has(id)) {
      this.last = Math.max(Date.now(), this.last + 0.001);
      remember(this.prefix + id, JSON.stringify({ at: this.last, message }));
    }
    return super.set(id, message);
  }

  delete(id) {
    forget(this.prefix + id);
    return super.delete(id);
  }

  /** Forget everything, of other tabs too, as when somebody logs out. */
  clear() {
    for (const key of keys(this.prefix)) forget(key);
    super.clear();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
