// The people this page has to do with: their names, pictures, and whether they are online.

const BATCH = 100;

export class Directory extends EventTarget {
  constructor(api, me) {
    super();
    this.api = api;
    this.people = new Map([[me.id, { ...me, isOnline: true }]]);
    this.wanted = new Set();
    this.heard = new Map(); // who came and went while profiles were on their way: newer than what they say
    this.loading = null;
  }

  name(userId) {
    return this.people.get(userId)?.username ?? "…";
  }

  get(userId) {
    return this.people.get(userId);
  }

  all() {
    return [...this.people.values()];
  }

  /** Load the profiles of people that are not known yet, or of all of them `again`. */
  need(userIds, { again = false } = {}) {
    for (const id of userIds) if (again || !this.people.has(id)) this.wanted.add(id);
    if (this.wanted.size) this.loading ??= this.load().finally(() => (this.loading = null));
  }

  setOnline(userId, isOnline) {
    this.heard.set(userId, isOnline);
    const person = this.people.get(userId);
    if (!person || person.isOnline === isOnline) return;
    person.isOnline = isOnline;
    this.dispatchEvent(new Event("change"));
  }

  async load() {
    await Promise.resolve(); // whoever else asks in this turn goes with the same call
    while (this.wanted.size) {
      const ids = [...this.wanted].slice(0, BATCH);
      for (const id of ids) this.wanted.delete(id);
      this.heard.clear();
      const found = await this.api.get(`/users?ids=${ids.join(",")}`).catch(() => null);
      if (found === null) continue; // whoever shows them asks again
      for (const id of ids) this.people.set(id, { id, username: "deleted account", isDeleted: true, isOnline: false });
      for (const person of found) {
        this.people.set(person.id, { ...person, isOnline: this.heard.get(person.id) ?? person.isOnline });
      }
      this.dispatchEvent(new Event("change"));
    }
  }
}
