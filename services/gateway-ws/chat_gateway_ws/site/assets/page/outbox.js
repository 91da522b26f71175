// What was written and is not stored yet, kept beyond a reload of the page, for one person.

/** A Map of messages by their id that writes through to the browser's storage: an entry each, since tabs share it. */
export class Outbox extends Map {
  constructor(userId) {
    super();
    this.prefix = `chat.outbox.${userId}.`;
  }

  /** What earlier visits, or other tabs, have not sent yet, in the order in which it was written. */
  earlier() {
    const entries = keys(this.prefix).map((key) => parsed(localStorage.getItem(key)));
    return entries
      .filter(Boolean)
      .sort((one, other) => one.at - other.at)
      .map(({ message }) => message);
  }

  set(id, message) {
    if (!this.has(id)) write(this.prefix + id, { at: Date.now(), message });
    return super.set(id, message);
  }

  delete(id) {
    localStorage.removeItem(this.prefix + id);
    return super.delete(id);
  }

  /** Forget everything, of other tabs too, as when somebody logs out. */
  clear() {
    for (const key of keys(this.prefix)) localStorage.removeItem(key);
    super.clear();
  }
}

const keys = (prefix) => Object.keys(localStorage).filter((key) => key.startsWith(prefix));

/** Whoever's storage is full or forbidden has what they write in memory only. */
function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch (error) {
    console.warn("not kept beyond a reload:", error.message);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
