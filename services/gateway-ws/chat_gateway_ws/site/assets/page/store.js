// What the page knows: rooms, their messages, and the client that keeps them right. Views listen to its events.

import { ApiError, CarefulClient } from "../chat-client.js";
import { Directory } from "./directory.js";
import { Outbox } from "./outbox.js";

const PAGE = 50;
const KEPT_UNSEEN = 200; // messages of a room that nobody looks at; older ones are loaded when somebody does
const TYPING_SECONDS = 6;

/** A room of mine. `messages` has no holes: it ends with the newest one applied, and begins where history was left. */
class Room {
  constructor(info) {
    this.forget(info.lastSeq);
    this.update(info);
    this.typing = new Map(); // user id -> the timer that ends it
    this.toldRead = 0; // the server knows that I have read up to here
  }

  update(info) {
    this.info = { ...this.info, ...info };
    if (info.unread !== undefined) this.unread = info.unread;
  }

  /** Nothing is shown any more, and what is loaded next ends at `position`. */
  forget(position) {
    this.messages = [];
    this.end = position;
    this.isComplete = position === 0;
    this.loading = null;
  }

  get begin() {
    return this.messages[0]?.seq ?? this.end + 1;
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
    this.state = "connecting";
    this.wasCutOff = false;
    this.directory = new Directory(api, me);
  }

  /** Load my rooms and connect. */
  async start() {
    await this.loadRooms();
    this.app = {
      epoch: null,
      positions: new Map([...this.rooms.values()].map((room) => [room.info.id, room.end])),
      outbox: new Outbox(this.me.id),
      auth: async () => ({ token: await this.api.token().catch(() => "") }),
      onMessage: (message) => this.onMessage(message),
      onReset: (roomId, head) => this.onReset(roomId, head),
      onRepeat: ({ clientMessageId }) => this.setPending(clientMessageId, { state: "retrying" }),
      onState: (state) => this.onState(state),
      onEnd: (why) => this.tell("end", why),
    };
    this.client = new CarefulClient(location.origin, this.app);
    this.listen(this.client.socket);
    for (const message of this.app.outbox.earlier()) this.submit(message);
  }

  /** Disconnect for good, and forget what was not sent. */
  stop() {
    this.client?.socket.disconnect();
    this.app?.outbox.clear();
  }

  /** How many of my messages are on their way. */
  get unsent() {
    return this.app?.outbox.size ?? 0;
  }

  // Rooms

  sortedRooms() {
    const moment = ({ info }) => info.lastMessageAt ?? info.createdAt;
    return [...this.rooms.values()].sort((one, other) => moment(other).localeCompare(moment(one)));
  }

  async loadRooms() {
    const found = await this.api.list("/room?limit=100");
    const ids = new Set(found.map(({ id }) => id));
    for (const id of this.rooms.keys()) if (!ids.has(id)) this.dropRoom(id);
    for (const info of found) this.addRoom(info);
    this.tell("rooms");
  }

  addRoom(info) {
    const known = this.rooms.get(info.id);
    // What arrived meanwhile is newer than the answer.
    if (known) known.update({ ...info, unread: known.unread, lastMessageAt: known.info.lastMessageAt });
    else this.rooms.set(info.id, new Room(info));
    if (!known && this.client) this.follow(this.rooms.get(info.id));
    this.tell("rooms");
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
  }

  dropRoom(roomId) {
    this.rooms.delete(roomId);
    this.app?.positions.delete(roomId);
    if (this.current?.info.id === roomId) this.open(null);
    this.tell("rooms");
  }

  /** See whether I am in this room, after something happened that may have changed it. */
  checkRoom(roomId) {
    if (!this.checks.has(roomId)) {
      this.checks.set(roomId, this.askForRoom(roomId).finally(() => this.checks.delete(roomId)));
    }
  }

  async askForRoom(roomId) {
    try {
      const info = await this.api.get(`/room/${roomId}`);
      if (info.role) this.addRoom(info);
      else this.dropRoom(roomId);
    } catch (error) {
      if (error.status === 404) this.dropRoom(roomId);
    }
  }

  open(roomId) {
    this.current = this.rooms.get(roomId) ?? null;
    this.tell("open");
    if (this.current) this.loadHistory(this.current);
  }

  // Messages

  /** Load the page before what is shown; `least` messages are shown in the end, where there are so many. */
  loadHistory(room, least = PAGE) {
    if (room.isComplete || room.messages.length >= least) return Promise.resolve();
    room.loading ??= this.loadPage(room).finally(() => (room.loading = null));
    return room.loading;
  }

  async loadPage(room) {
    const before = room.begin;
    const page = await this.api.history(room.info.id, before, PAGE).catch((error) => error);
    if (room.begin !== before) return; // reset meanwhile
    if (page instanceof ApiError) return this.tell("history-failed", { room });
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
    this.tell("pending", { roomId: message.roomId });
    sent.then(
      (answer) => this.setPending(id, { state: "stored", seq: answer.seq }),
      (error) => this.setPending(id, { state: "failed", code: error.message }),
    );
  }

  setPending(id, change) {
    const entry = this.pending.get(id);
    if (!entry) return; // seen in its room already
    Object.assign(entry, change);
    const { roomId, content } = entry.message;
    // Of an earlier visit, and stored then already: it is among what was shown from the start.
    if (entry.seq <= this.rooms.get(roomId)?.end) this.pending.delete(id);
    if (change.state === "failed" && !this.rooms.has(roomId)) this.tell("unsendable", { content });
    this.tell("pending", { roomId });
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
    if (!room) return void this.checkRoom(message.roomId);
    room.messages.push(message);
    room.end = message.seq;
    room.info.lastMessageAt = message.createdAt;
    if (!isMine) room.unread += 1;
    if (room !== this.current && room.messages.length > KEPT_UNSEEN) this.trim(room);
    this.endTyping(room, message.senderId);
    this.tell("message", { room, message });
    this.tell("rooms");
  }

  /** Let go of all but the newest page. */
  trim(room) {
    room.messages.splice(0, room.messages.length - PAGE);
    room.isComplete = room.begin === 1;
  }

  onReset(roomId, head) {
    const room = this.rooms.get(roomId);
    if (!room) return head;
    room.forget(head);
    this.tell("reset", { room });
    if (room === this.current) this.loadHistory(room);
    return head;
  }

  /** Tell the server that I have seen the newest message of a room. */
  async markRead(room) {
    room.unread = 0;
    this.tell("rooms");
    const seq = room.end;
    if (seq <= room.toldRead) return;
    const before = room.toldRead;
    room.toldRead = seq;
    await this.api.post(`/room/${room.info.id}/read`, { seq }).catch(() => (room.toldRead = before));
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
    this.endTyping(room, userId);
    if (!typing) return;
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
    if (state === "disconnected") this.wasCutOff = true;
    if (state !== "connected" || !this.wasCutOff) return;
    this.wasCutOff = false;
    // What is not in the log was not repeated for us: who is there, and in which rooms I am.
    this.loadRooms().catch(() => {});
    if (this.current) this.tell("members", { room: this.current });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
