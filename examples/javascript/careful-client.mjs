// A client that loses nothing, on socket.io-client 4.8. docs/clients.md gives the reason for each of its rules.

import { io } from "socket.io-client";

const SECONDS = { answer: 10, retry: 0.5, reconnect: 3, longest: 20 };
const between = (low, high) => low + Math.random() * (high - low);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** `app` has auth(), onMessage(message), onReset(roomId, head, epoch), onEnd(why), epoch, positions and outbox. */
export class CarefulClient {
  constructor(url, app, seconds = {}) {
    this.app = app;
    this.seconds = { ...SECONDS, ...seconds };
    this.behind = new Set(); // rooms of which something may be missing
    this.turns = new Map(); // by room: settled when all sends so far have ended
    this.ready = false; // connected and caught up: what is sent waits for it
    this.socket = io(url, {
      auth: (done) => done(app.auth()), // asked before each connect, since access tokens end
      transports: ["websocket"],
      reconnectionDelay: this.seconds.reconnect * 500, // with the next line: first a random wait of 0 to 3 s
      randomizationFactor: 1,
      reconnectionDelayMax: this.seconds.longest * 1000,
    });
    this.socket.on("connect", () => this.catchUp(app.positions.keys()).then(() => (this.ready = this.socket.connected)));
    this.socket.on("disconnect", () => this.comeBack());
    this.socket.on("connect_error", (error) => this.comeBack(error.data));
    this.socket.on("session-ended", (why) => app.onEnd((this.ended = why)));
    this.socket.on("new-message", (message) => this.apply(message));
    this.socket.on("message-history", ({ messages }) => messages.forEach((message) => this.apply(message)));
    this.socket.on("heads", ({ heads, epoch }) =>
      this.catchUp(Object.keys(heads).filter((id) => heads[id] > this.position(id) || epoch !== app.epoch)),
    );
    for (const message of [...app.outbox.values()]) this.send(message).catch(() => {}); // of an earlier run
  }

  send(message) {
    message.clientMessageId ??= crypto.randomUUID();
    this.app.outbox.set(message.clientMessageId, message);
    const turn = (this.turns.get(message.roomId) ?? Promise.resolve()).then(() => this.deliver(message));
    this.turns.set(message.roomId, turn.catch(() => {})); // one at a time: none overtakes one that is repeated
    return turn;
  }

  async deliver(message) {
    for (let pause = this.seconds.retry; ; pause = Math.min(pause * 2, this.seconds.longest)) {
      while (!this.ready) await sleep(0.05);
      const answer = await this.call("send_message", message);
      if (!answer.ok && answer.error.retryable) await sleep(pause * between(0.5, 1.5));
      else if (this.app.outbox.delete(message.clientMessageId) && answer.ok) return answer;
      else throw new Error(answer.error.code);
    }
  }

  call(event, payload) {
    return this.socket.timeout(this.seconds.answer * 1000).emitWithAck(event, payload).catch(() => {
      if (this.socket.connected) this.socket.io.engine.close(); // the gateway answers within 8 s: nobody is there
      return { ok: false, error: { retryable: true } };
    });
  }

  catchUp(roomIds) {
    for (const roomId of roomIds) this.behind.add(roomId);
    return (this.asking ??= this.ask().finally(() => (this.asking = null)));
  }

  async ask() {
    const { app, behind } = this;
    while (behind.size && this.socket.connected) {
      const rooms = [...behind].slice(0, 200).map((roomId) => ({ roomId, after: this.position(roomId) }));
      const answer = await this.call("sync", { rooms, epoch: app.epoch });
      const isOtherLog = app.epoch && answer.epoch && app.epoch !== answer.epoch; // as after a restored backup
      const all = [...app.positions.keys()].map((roomId) => ({ roomId, head: 0, reset: true }));
      app.epoch = answer.epoch ?? app.epoch;
      for (const { roomId, head, reset, error } of isOtherLog ? all : (answer.rooms ?? [])) {
        if (reset) behind.add(roomId) && app.positions.set(roomId, app.onReset(roomId, head, app.epoch));
        else if (!error?.retryable) behind.delete(roomId);
      }
      if (behind.size) await sleep(between(0, this.seconds.retry));
    }
  }

  apply(message) {
    const ahead = message.seq - this.position(message.roomId);
    if (ahead > 1 && !this.behind.has(message.roomId)) this.catchUp([message.roomId]);
    if (ahead !== 1) return; // seen before, or behind a hole
    this.app.onMessage(message);
    this.app.positions.set(message.roomId, message.seq);
  }

  position = (roomId) => this.app.positions.get(roomId) ?? 0;

  async comeBack({ code, retryable = true, retryAfterMs = between(0, this.seconds.reconnect * 1000) } = {}) {
    this.ready = false;
    if (this.socket.active || this.ended) return; // the stock client comes back by itself, or nobody is to
    if (!retryable) return this.app.onEnd((this.ended = { code }));
    await sleep(retryAfterMs / 1000);
    this.socket.connect();
  }
}
