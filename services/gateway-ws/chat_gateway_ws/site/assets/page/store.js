// What the page knows: rooms, their messages, and the client that keeps them right. Views listen to its events.

import { CarefulClient } from "../chat-client.js";
import { Directory } from "./directory.js";
import { Outbox } from "./outbox.js";
import { EVERY_MS, sleep, untilItWorks } from "./patience.js";

const PAGE = 50;
const KEPT_UNSEEN = 200; // messages of a room that nobody looks at; older ones are loaded when somebody does
const TYPING_SECONDS = 6;
const LIST_EVERY_MS = 50;

/** A room of mine. `messages` has no holes: it ends with the newest one applied, and begins where history was left. */
class Room {
  constructor(info) {
    this.readTo = 0; // what I have seen of it, here or elsewhere
    this.toldRead = 0; // the server knows it up to here
    this.typing = new Map(); // user id -> the timer that ends it
    this.forget(info.lastSeq);
    this.update(info);
  }

  update(info) {
    const lastMessageAt = [this.info?.lastMessageAt, info.lastMessageAt].filter(Boolean).sort().at(-1) ?? null;
    this.info = { ...this.info, ...info, lastMessageAt };
    if (info.unread !== undefined) this.readTo = Math.max(this.readTo, info.lastSeq - info.unread);
  }

  /** Nothing is shown any more, and what is loaded next ends at `position`. */
  forget(position) {
    this.messages = [];
    this.end = position;
    this.isComplete = position === 0;
    this.loading = null;
    this.generation = (this.generation ?? 0) + 1;
  }

  get begin() {
    return this.messages[0]?.seq ?? this.end + 1;
  }

  get unread() {
    return Math.max(0, this.end - this.readTo);
  }
}

export class Store extends EventTarget {
  constructor(api, me) {
    super();
    this.api = api;
    this.me = me;
    this.rooms = new Map();
    this.current = null;
    this.pending = new Map(); // by clientMessageId: my messages that were not seen in their room yet
    this.heads = new Map();
    this.checks = new Map(); // by room: the question under way whether I am in it
    this.loading = null;
    this.listIsDue = null;
    this.state = "connecting";
    this.directory = new Directory(api, me);
  }

  /** Load my rooms and connect. */
  async start() {
    await untilItWorks(() => this.loadRooms());
    this.app = {
      epoch: null,
      positions: new Map([...this.rooms.values()].map((room) => [room.info.id, room.end])),
      outbox: new Outbox(this.me.id),
      auth: async () => ({ token: await this.api.token().catch(() => "") }),
      onMessage: (message) => this.onMessage(message),
      onReset: (roomId, head) => this.onReset(roomId, head),
      onRepeat: ({ clientMessageId }) => this.setPending(clientMessageId, { state: "retrying" }),
      onState: (state) => this.onState(state),
      onGone: (roomId) => this.checkRoom(roomId),
      onEnd: (why) => this.tell("end", why),
    };
    this.client = new CarefulClient(location.origin, this.app);
    this.listen(this.client.socket);
    for (const message of this.app.outbox.earlier()) this.submit(message);
  }

  /** Disconnect for good, and forget what was not sent. */
  stop() {
    this.client?.stop();
    this.app?.outbox.clear();
  }

  /** How many of my messages are on their way, in other tabs too, or were refused and not decided about. */
  get unsent() {
    const refused = [...this.pending.values()].filter(({ state }) => state === "failed");
    return (this.app?.outbox.count() ?? 0) + refused.length;
  }

  // Rooms

  sortedRooms() {
    const moment = ({ info }) => info.lastMessageAt ?? info.createdAt;
    return [...this.rooms.values()].sort((one, other) => moment(other).localeCompare(moment(one)));
  }

  /** Load the list of my rooms. What is missing in it is only a hint: it may be older than what happened since. */
  async loadRooms() {
    const known = [...this.rooms.keys()];
    const found = await this.api.list("/room?limit=100");
    const ids = new Set(found.map(({ id }) => id));
    for (const id of known) if (!ids.has(id)) this.checkRoom(id);
    for (const info of found) this.addRoom(info);
    this.tellRooms();
  }

  /** Load the list anew until it works; whoever asks meanwhile gets the same. */
  refresh() {
    this.loading ??= untilItWorks(() => this.loadRooms())
      .catch(() => {}) // logged out: the socket tells it, too
      .finally(() => (this.loading = null));
  }

  addRoom(info) {
    const known = this.rooms.get(info.id);
    if (known) known.update(info);
    else this.rooms.set(info.id, new Room(info));
    if (!known && this.client) this.follow(this.rooms.get(info.id));
    this.tellRooms();
    return this.rooms.get(info.id);
  }

  /** Have the client keep a room that came while it runs. */
  follow(room) {
    const { positions } = this.app;
    if (positions.has(room.info.id)) room.forget(positions.get(room.info.id));
    else positions.set(room.info.id, room.end);
    this.client.catchUp([room.info.id]);
  }

  async createRoom(fields) {
    return this.addRoom(await this.api.post("/room", fields)).info.id;
  }

  async joinRoom(roomId) {
    this.addRoom(await this.api.post(`/room/${roomId}/join`));
  }

  async leaveRoom(roomId) {
    await this.api.delete(`/room/${roomId}/members`);
    this.dropRoom(roomId);
    if (this.checks.has(roomId)) this.checkRoom(roomId); // its answer may be older
  }

  dropRoom(roomId) {
    this.rooms.delete(roomId);
    this.app?.positions.delete(roomId);
    for (const [id, { message, state }] of this.pending) {
      if (message.roomId === roomId && state === "failed") this.giveUp(id);
    }
    if (this.current?.info.id === roomId) this.open(null);
    this.tellRooms();
  }

  /** See whether I am in this room, after something happened that may have changed it. */
  checkRoom(roomId) {
    const under = this.checks.get(roomId);
    if (under) under.isStale = true;
    else this.askForRoom(roomId);
  }

  async askForRoom(roomId) {
    const check = { isStale: true };
    this.checks.set(roomId, check);
    let info = null;
    try {
      while (check.isStale) {
        if (info) await sleep(EVERY_MS);
        check.isStale = false;
        info = await untilItWorks(() => this.api.get(`/room/${roomId}`));
      }
    } catch {
      info = null; // gone, or none of mine; or logged out, which the socket tells
    }
    this.checks.delete(roomId);
    if (info?.role) this.addRoom(info);
    else if (this.rooms.has(roomId)) this.dropRoom(roomId);
  }

  open(roomId) {
    this.current = this.rooms.get(roomId) ?? null;
    this.tell("open");
    if (!this.current) return;
    this.loadHistory(this.current);
    this.checkRoom(roomId); // how many are in it
  }

  // Messages

  /** Load the page before what is shown; `least` messages are shown in the end, where there are so many. */
  loadHistory(room, least = PAGE) {
    if (room.isComplete || room.messages.length >= least) return Promise.resolve();
    room.loading ??= this.loadPage(room);
    return room.loading;
  }

  async loadPage(room) {
    const { begin, generation } = room;
    const page = await this.api.history(room.info.id, begin, PAGE).catch(() => null);
    if (room.generation !== generation) return; // reset meanwhile: another one is under way
    room.loading = null;
    if (room.begin !== begin) return; // let go of meanwhile
    if (!page || (page.at(-1)?.seq ?? 0) !== begin - 1) return this.tell("history-failed", { room });
    room.messages.unshift(...page);
    room.isComplete = page.length < PAGE || page[0].seq === 1;
    this.tell("history", { room, messages: page });
  }

  /** Send a message; it is shown at once, with what became of it. `image` is the `url` of an upload. */
  send(roomId, content, image) {
    const kind = image ? { messageType: "image", imageUrl: image } : { messageType: "text" };
    this.submit({ roomId, content, ...kind });
  }

  submit(message) {
    const sent = this.client.send(message);
    const id = message.clientMessageId;
    this.pending.set(id, { message, state: "sending" });
    this.tell("pending", { roomId: message.roomId, isNew: true });
    sent.then(
      (answer) => this.setPending(id, { state: "stored", seq: answer.seq }),
      (error) => this.setPending(id, { state: "failed", code: error.message }),
    );
  }

  setPending(id, change) {
    const entry = this.pending.get(id);
    if (!entry) return; // seen in its room already
    Object.assign(entry, change);
    const { roomId } = entry.message;
    // Of an earlier visit, and stored then already: it is among what was shown from the start.
    if (entry.seq <= this.rooms.get(roomId)?.end) this.pending.delete(id);
    if (entry.state === "failed" && !this.rooms.has(roomId)) this.giveUp(id);
    this.tell("pending", { roomId });
  }

  /** Say what cannot be sent any more, where there is no room to show it in. */
  giveUp(id) {
    const { content } = this.pending.get(id).message;
    this.pending.delete(id);
    this.tell("unsendable", { content });
  }

  discard(id) {
    const { message } = this.pending.get(id);
    this.pending.delete(id);
    this.tell("pending", { roomId: message.roomId });
    return message;
  }

  onMessage(message) {
    const room = this.rooms.get(message.roomId);
    const isMine = message.senderId === this.me.id;
    if (isMine && this.pending.delete(message.clientMessageId)) this.tell("pending", { roomId: message.roomId });
    if (!room) return this.checkRoom(message.roomId);
    room.messages.push(message);
    room.end = message.seq;
    room.info.lastMessageAt = message.createdAt;
    if (isMine) room.readTo = message.seq; // the server takes it for read, too
    if (room !== this.current && room.messages.length > KEPT_UNSEEN) this.trim(room);
    this.endTyping(room, message.senderId);
    this.tell("message", { room, message });
    this.tellRooms();
  }

  /** Let go of all but the newest messages. */
  trim(room, kept = PAGE) {
    room.messages.splice(0, room.messages.length - kept);
    room.isComplete = room.begin === 1;
  }

  onReset(roomId, head) {
    const room = this.rooms.get(roomId);
    if (!room) return head;
    room.forget(head);
    [room.readTo, room.toldRead] = [Math.min(room.readTo, head), Math.min(room.toldRead, head)];
    this.tell("reset", { room });
    if (room === this.current) this.loadHistory(room);
    return head;
  }

  /** Note that I have seen the newest message of a room. */
  markRead(room) {
    if (room.readTo === room.end && room.toldRead >= room.end) return;
    room.readTo = room.end;
    this.tellRooms();
    this.tellRead(room);
  }

  /** Tell the server how far I have read; once in a second, however many messages there are. */
  async tellRead(room) {
    if (room.isTelling) return;
    room.isTelling = true;
    while (room.toldRead < room.readTo) {
      const seq = room.readTo;
      try {
        await this.api.post(`/room/${room.info.id}/read`, { seq });
        room.toldRead = Math.max(room.toldRead, seq);
      } catch (error) {
        if (!error.retryable) break;
      }
      await sleep(EVERY_MS);
    }
    room.isTelling = false;
  }

  // What the server tells beside messages

  listen(socket) {
    const inRoom = (handler) => (event) => {
      const room = this.rooms.get(event.roomId);
      if (room) handler(room, event);
    };
    socket.on("user-online", ({ userId }) => this.directory.setOnline(userId, true));
    socket.on("user-offline", ({ userId }) => this.directory.setOnline(userId, false));
    socket.on("user-joined", (event) => this.onMember(event));
    socket.on("user-left", (event) => this.onMember(event));
    socket.on("typing", inRoom((room, event) => this.onTyping(room, event)));
    socket.on("room-updated", inRoom((room, { roomId, ...info }) => this.addRoom({ ...room.info, id: roomId, ...info })));
    socket.on("room-deleted", inRoom((room) => this.dropRoom(room.info.id)));
    socket.on("heads", ({ heads }) => {
      for (const [roomId, head] of Object.entries(heads)) this.heads.set(roomId, head);
      this.tell("state");
    });
  }

  onMember({ roomId, userId }) {
    if (userId === this.me.id) return this.checkRoom(roomId);
    if (this.current?.info.id !== roomId) return;
    this.checkRoom(roomId); // how many there are
    this.tell("members", { room: this.current });
  }

  onTyping(room, { userId, typing }) {
    if (!typing) return this.endTyping(room, userId);
    clearTimeout(room.typing.get(userId));
    this.directory.need([userId]);
    room.typing.set(userId, setTimeout(() => this.endTyping(room, userId), TYPING_SECONDS * 1000));
    this.tell("typing", { room });
  }

  endTyping(room, userId) {
    clearTimeout(room.typing.get(userId));
    if (room.typing.delete(userId)) this.tell("typing", { room });
  }

  onState(state) {
    this.state = state;
    this.tell("state");
    if (state !== "connected") return;
    // What is not in the log was not repeated for us: in which rooms I am, and who is there.
    this.refresh();
    if (this.current) this.tell("members", { room: this.current });
  }

  /** Tell of a change of the list of rooms, soon: many messages are one. */
  tellRooms() {
    this.listIsDue ??= setTimeout(() => {
      this.listIsDue = null;
      this.tell("rooms");
    }, LIST_EVERY_MS);
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
