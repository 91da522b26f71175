// The open room: its messages, older ones as one scrolls up, mine that are on their way, who types.

import { $, dialog, el, mediaPath, notice } from "./dom.js";

const NEAR_END = 80; // pixels: whoever is that near to the end of the log follows it
const NEAR_BEGIN = 300;
const SHOWN = 400; // messages; more are let go of while one follows the end
const MOST = 2000; // and while one does not
const STATES = { sending: "sending…", retrying: "not answered yet, trying again…", stored: "stored" };
const REFUSALS = {
  not_a_member: "you are not in this room any more",
  room_not_found: "this room is gone",
  image_not_found: "the image is gone",
};
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

export function showRoom(store) {
  new RoomView(store);
}

class RoomView {
  constructor(store) {
    this.store = store;
    this.log = $("#log");
    this.messages = $("#messages");
    this.pending = $("#pending");
    this.older = $("#older");
    this.follows = true;
    this.listen();
    this.listenToStore();
  }

  listen() {
    this.log.addEventListener("scroll", () => this.onScroll());
    // What is loaded or typed changes heights; who was at the end stays there.
    new ResizeObserver(() => this.follow()).observe(this.messages);
    new ResizeObserver(() => this.follow()).observe(this.log);
    document.addEventListener("visibilitychange", () => this.read());
    $("button", this.older).addEventListener("click", () => this.loadOlder());
    $("#back").addEventListener("click", () => {
      const { id } = this.room.info;
      this.store.open(null);
      $(`#rooms [data-room="${id}"]`)?.focus();
    });
    this.offerLeaving();
  }

  offerLeaving() {
    let room = null; // the one that is asked about, whichever is open by then
    const ask = dialog("#leaving", async () => {
      await this.store.leaveRoom(room.info.id);
      return () => $("#find-room-open").focus();
    });
    $("#leave").addEventListener("click", () => {
      room = this.room;
      $("#leaving p").textContent = `You will not see ${room.info.roomName} any more.`;
      ask();
    });
  }

  listenToStore() {
    const onRoom = (name, handler) =>
      this.store.addEventListener(name, ({ detail }) => detail.room === this.room && handler(detail));
    this.store.addEventListener("open", () => this.open());
    this.store.addEventListener("rooms", () => this.showHead());
    this.store.addEventListener("pending", ({ detail }) => detail.roomId === this.room?.info.id && this.showPending(detail));
    this.store.addEventListener("state", () => this.onState());
    this.store.directory.addEventListener("change", () => this.showNames());
    onRoom("message", ({ message }) => this.append(message));
    onRoom("history", ({ messages }) => this.prepend(messages));
    onRoom("history-failed", () => this.showOlder("Older messages could not be loaded."));
    onRoom("reset", () => this.open());
    onRoom("typing", () => this.showTyping());
  }

  get room() {
    return this.store.current;
  }

  open() {
    const { room } = this;
    $("#chat").dataset.view = room ? "room" : "rooms";
    $("#room .empty").hidden = Boolean(room);
    $("#room .talk").hidden = !room;
    if (!room) return;
    this.follows = true;
    this.silence();
    this.messages.replaceChildren(...this.items(room.messages, null));
    this.showHead();
    this.showPending();
    this.showTyping();
    this.showOlder();
    this.store.directory.need(room.messages.map(({ senderId }) => senderId));
    this.follow();
    this.read();
  }

  showHead() {
    if (!this.room) return;
    const { roomName, description, roomType, memberCount } = this.room.info;
    $("#room-name").textContent = roomName;
    const people = memberCount === 1 ? "1 member" : `${memberCount} members`;
    $("#room-about").textContent = [roomType, people, description].filter(Boolean).join(" · ");
  }

  // Messages

  append(message) {
    const { messages } = this.room;
    this.messages.append(...this.items([message], messages[messages.length - 2] ?? null));
    this.store.directory.need([message.senderId]);
    if (messages.length > (this.follows ? SHOWN : MOST)) this.trim();
    this.follow();
    this.read();
  }

  /** Let go of the oldest messages; what one looks at stays where it is. */
  trim() {
    const { scrollTop, scrollHeight } = this.log;
    this.store.trim(this.room, this.follows ? undefined : MOST / 2);
    while (this.messages.firstChild && Number(this.messages.firstChild.dataset.seq) !== this.room.begin) {
      this.messages.firstChild.remove();
    }
    this.showOlder();
    if (!this.follows) this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
  }

  /** What is shown because one looks there is no news to read out. */
  silence() {
    this.log.setAttribute("aria-live", "off");
    clearTimeout(this.speaks);
    this.speaks = setTimeout(() => this.log.removeAttribute("aria-live"), 500);
  }

  prepend(messages) {
    const { scrollTop, scrollHeight } = this.log;
    this.silence();
    this.log.classList.add("prepending"); // browsers do not keep the place of who is at the very top: we do
    const first = this.room.messages[messages.length];
    this.messages.querySelector(`[data-day-of="${first?.seq}"]`)?.remove();
    const after = first ? this.items([first], messages[messages.length - 1]).slice(0, -1) : [];
    this.messages.prepend(...this.items(messages, null), ...after);
    this.showOlder();
    if (this.follows) this.follow();
    else this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
    requestAnimationFrame(() => this.log.classList.remove("prepending"));
    this.store.directory.need(messages.map(({ senderId }) => senderId));
    if (this.follows) this.read();
    if (this.log.scrollHeight <= this.log.clientHeight) this.loadOlder(); // nothing to scroll
  }

  /** The list items of messages; `before` is the one that stands above them. */
  items(messages, before) {
    const items = [];
    for (const message of messages) {
      const date = day.format(new Date(message.createdAt));
      if (!before || date !== day.format(new Date(before.createdAt))) {
        items.push(el("li", { className: "day", data: { dayOf: message.seq } }, date));
      }
      items.push(this.item(message, before));
      before = message;
    }
    return items;
  }

  item(message, before) {
    const { store } = this;
    const isMine = message.senderId === store.me.id;
    const goesOn = before?.senderId === message.senderId && new Date(message.createdAt) - new Date(before.createdAt) < 300_000;
    const time = el("time", { dateTime: message.createdAt, title: `number ${message.seq}` }, clock.format(new Date(message.createdAt)));
    const author = el("span", { className: "author", data: { user: message.senderId } }, store.directory.name(message.senderId));
    const item = el(
      "li",
      { className: `message${isMine ? " mine" : ""}${goesOn ? " on" : ""}`, data: { seq: message.seq, id: message.messageId } },
      el("p", { className: "by" }, author, " ", time),
      ...content(store, message),
    );
    if (isMine) item.append(el("span", { className: "sent", title: `stored as number ${message.seq}` }, "✓", el("span", { className: "hidden" }, " stored")));
    return item;
  }

  showNames() {
    for (const author of this.messages.querySelectorAll(".author")) {
      author.textContent = this.store.directory.name(author.dataset.user);
    }
    if (this.room) this.showTyping();
  }

  // Mine that are on their way

  showPending({ isNew } = {}) {
    const mine = [...this.store.pending].filter(([, { message }]) => message.roomId === this.room.info.id);
    this.pending.replaceChildren(...mine.map(([id, entry]) => this.pendingItem(id, entry)));
    if (isNew) this.follows = true;
    this.follow();
  }

  pendingItem(id, { message, state, code }) {
    const item = el("li", { className: `message mine ${state}`, data: { state } }, ...content(this.store, message));
    const said = state === "failed" ? `not sent: ${REFUSALS[code] ?? code}` : STATES[state];
    const line = el("p", { className: "fate" }, said);
    if (state === "failed") {
      const again = () => {
        const { roomId, content: text, imageUrl } = this.store.discard(id);
        this.store.send(roomId, text, imageUrl);
      };
      line.append(
        el("button", { type: "button", onClick: again }, "Send again"),
        el("button", { type: "button", onClick: () => this.store.discard(id) }, "Discard"),
      );
    }
    item.append(line);
    return item;
  }

  showTyping() {
    const names = [...this.room.typing.keys()].map((id) => this.store.directory.name(id));
    const who = names.length > 2 ? `${names.length} people are` : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"}`;
    $("#typing").textContent = names.length ? `${who} typing…` : "";
  }

  // Where one looks

  showOlder(failure) {
    $("span", this.older).textContent = failure ?? (this.room.isComplete ? "This is where the room begins." : "");
    $("button", this.older).hidden = !failure;
  }

  loadOlder() {
    if (this.room) this.store.loadHistory(this.room, Infinity);
  }

  onState() {
    const hasFailed = !$("button", this.older).hidden;
    if (this.store.state === "connected" && hasFailed) this.loadOlder();
  }

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.follows) this.read();
    if (scrollTop < NEAR_BEGIN) this.loadOlder();
  }

  follow() {
    if (this.follows) this.log.scrollTop = this.log.scrollHeight;
  }

  /** Whoever sees the end of the log has read the room. */
  read() {
    if (this.room && this.follows && document.visibilityState === "visible") this.store.markRead(this.room);
  }
}

/** What a message says: text, or an image with text below it. */
function content(store, { content: text, messageType, imageUrl }) {
  const parts = [];
  if (messageType === "image") parts.push(image(store, imageUrl, text));
  if (text) parts.push(el("p", { className: "text" }, text));
  return parts;
}

function image(store, url, text) {
  const path = mediaPath(url);
  if (!path) return el("p", { className: "quiet" }, "(an image that is not of this installation)");
  const picture = el("img", { src: path, alt: text || "Image", loading: "lazy" });
  const open = (event) => {
    event.preventDefault(); // a new window has no log-in of its own to renew
    store.api.token().then(() => window.open(path, "_blank", "noopener"), (error) => notice(error.message));
  };
  // The cookie that lets a browser see it ends with the access token: once renewed, it works.
  picture.addEventListener("error", () => store.api.token().then(() => (picture.src = `${path}?again`), () => {}), { once: true });
  return el("a", { href: path, target: "_blank", rel: "noopener", onClick: open }, picture);
}
