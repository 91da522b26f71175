// What was written and is not stored yet, kept beyond a reload of the page.

/** A Map of messages that writes through to the browser's storage, for one person. */
export class Outbox extends Map {
  constructor(userId) {
    super();
    this.key = `chat.outbox.${userId}`;
    for (const message of read(this.key)) super.set(message.clientMessageId, message);
  }

  set(id, message) {
    super.set(id, message);
    this.write();
    return this;
  }

  delete(id) {
    const was = super.delete(id);
    this.write();
    return was;
  }

  write() {
    // The constructor of Map may call set() before there is a key.
    if (this.key) localStorage.setItem(this.key, JSON.stringify([...this.values()]));
  }
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
}
