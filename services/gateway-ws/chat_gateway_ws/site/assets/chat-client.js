// The client of a chat installation: all that a page or a program needs to talk to one, in a file to copy.
//
//   CarefulClient   messages: nothing lost, doubled or out of order, whatever the connection does
//   ChatApi         accounts, rooms, history and uploads over REST, with tokens that renew themselves
//
// Needs socket.io-client 4.8, in a browser (by an import map or a bundler) or in Node.js 20.

import { io } from "socket.io-client";

// docs/clients.md gives the reason for each rule that this class keeps.
const SECONDS = { answer: 10, retry: 0.5, reconnect: 3, longest: 20 };
const between = (low, high) => low + Math.random() * (high - low);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** A new id for a message; `crypto.randomUUID` is missing where a page came over plain HTTP from another host. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `app` has auth(), onMessage(message), onReset(roomId, head, epoch), onEnd(why), epoch, positions and outbox. */
export class CarefulClient {
  constructor(url, app, seconds = {}) {
    this.app = app;
    this.seconds = { ...SECONDS, ...seconds };
    this.behind = new Set(); // rooms of which something may be missing
    this.turns = new Map(); // by room: settled when all sends so far have ended
    this.ready = false; // connected and caught up: what is sent waits for it
    this.counts = { connects: 0, repeats: 0, missed: 0, holes: 0, doubles: 0 }; // for whoever wants to show them
    this.socket = io(url, {
      auth: (done) => this.authenticate(done), // before each connect, since access tokens end
      transports: ["websocket"],
      reconnectionDelay: this.seconds.reconnect * 500, // with the next line: first a random wait of 0 to 3 s
      randomizationFactor: 1,
      reconnectionDelayMax: this.seconds.longest * 1000,
      forceNew: true, // a connection of its own, also beside another one of this page
    });
    this.socket.on("connect", () => this.resume());
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

  async authenticate(done) {
    const { engine } = this.socket.io;
    const auth = await this.app.auth();
    if (engine === this.socket.io.engine) done(auth); // not on the next connection, which asks for itself
  }

  send(message) {
    message.clientMessageId ??= newId();
    this.app.outbox.set(message.clientMessageId, message);
    const turn = (this.turns.get(message.roomId) ?? Promise.resolve()).then(() => this.deliver(message));
    this.turns.set(message.roomId, turn.catch(() => {})); // one at a time: none overtakes one that is repeated
    return turn;
  }

  async deliver(message) {
    for (let pause = this.seconds.retry; ; pause = Math.min(pause * 2, this.seconds.longest)) {
      while (!this.ready && !this.ended) await sleep(0.05);
      if (this.ended) throw new Error(this.ended.code ?? this.ended.reason); // it stays in the outbox
      const answer = await this.call("send_message", message);
      if (!answer.ok && answer.error.retryable) await sleep(pause * between(0.5, 1.5));
      else this.app.outbox.delete(message.clientMessageId);
      if (answer.ok) return answer;
      if (!answer.error.retryable) throw new Error(answer.error.code);
      this.counts.repeats += 1;
      this.app.onRepeat?.(message);
    }
  }

  call(event, payload) {
    return this.socket.timeout(this.seconds.answer * 1000).emitWithAck(event, payload).catch(() => {
      if (this.socket.connected) this.socket.io.engine.close(); // the gateway answers within 8 s: nobody is there
      return { ok: false, error: { retryable: true } };
    });
  }

  async resume() {
    this.counts.connects += 1;
    this.app.onState?.("catching up");
    await this.catchUp(this.app.positions.keys());
    this.ready = this.socket.connected;
    if (this.ready) this.app.onState?.("connected");
  }

  catchUp(roomIds) {
    for (const roomId of roomIds) this.behind.add(roomId);
    return (this.asking ??= this.ask().finally(() => (this.asking = null)));
  }

  async ask() {
    const { app, behind } = this;
    for (let pause = this.seconds.retry; behind.size && this.socket.connected; ) {
      const rooms = [...behind].slice(0, 200).map((roomId) => ({ roomId, after: this.position(roomId) }));
      const answer = await this.call("sync", { rooms, epoch: app.epoch });
      if (!answer.ok && !answer.error.retryable) return behind.clear();
      const isOtherLog = app.epoch && answer.epoch && app.epoch !== answer.epoch; // as after a restored backup
      app.epoch = answer.epoch ?? app.epoch;
      for (const room of isOtherLog ? this.allReset(answer.rooms) : (answer.rooms ?? [])) this.settle(room);
      const isStuck = (answer.rooms ?? []).every(({ error }) => error);
      pause = isStuck ? Math.min(pause * 2, this.seconds.longest) : this.seconds.retry;
      if (behind.size) await sleep(between(0, pause));
    }
  }

  allReset(told) {
    const heads = new Map(told.map(({ roomId, head }) => [roomId, head]));
    return [...this.app.positions.keys()].map((roomId) => ({ roomId, head: heads.get(roomId) ?? 0, reset: true }));
  }

  settle({ roomId, head, reset, error }) {
    if (reset) {
      this.behind.add(roomId);
      this.app.positions.set(roomId, this.app.onReset(roomId, head, this.app.epoch));
    } else if (!error?.retryable) {
      this.behind.delete(roomId);
      if (error) this.app.onGone?.(roomId);
    }
  }

  apply(message) {
    const ahead = message.seq - this.position(message.roomId);
    if (ahead < 1) this.counts.doubles += 1; // seen before
    if (ahead > 1 && !this.behind.has(message.roomId)) {
      this.counts.holes += 1;
      this.catchUp([message.roomId]);
    }
    if (ahead !== 1) return;
    if (!this.ready) this.counts.missed += 1;
    this.app.onMessage(message);
    this.app.positions.set(message.roomId, message.seq);
  }

  position = (roomId) => this.app.positions.get(roomId) ?? 0;

  async comeBack({ code, retryable = true, retryAfterMs = between(0, this.seconds.reconnect * 1000) } = {}) {
    this.ready = false;
    this.app.onState?.("disconnected");
    if (this.socket.active || this.ended) return; // the stock client comes back by itself, or nobody is to
    if (!retryable) return this.app.onEnd((this.ended = { code }));
    await sleep(retryAfterMs / 1000);
    if (!this.socket.active && !this.ended) this.socket.connect();
  }

  stop() {
    this.ended = { code: "stopped" }; // what waits to be sent fails with it, and stays in the outbox
    this.socket.disconnect();
  }

  hurry() {
    if (!this.socket.connected && !this.ended) this.socket.disconnect().connect(); // now, rather than after its wait
  }
}

/** A refusal, or no answer at all: `status` 0. `code` is stable, `message` is for people. */
export class ApiError extends Error {
  constructor(problem, status = 0) {
    const fields = (problem.errors ?? []).map(({ field, message }) => `${field}: ${message}`);
    super(fields.length ? fields.join("; ") : (problem.message ?? "The server cannot be reached"));
    this.status = status;
    this.code = problem.code ?? "unreachable";
    this.retryable = problem.retryable ?? true;
  }
}

/** A log-in that can no longer be renewed: the person has to log in again. */
export class LoggedOut extends ApiError {}

/**
 * REST. The access token is kept in memory only; the refresh token is a cookie that no script can read, so a page
 * that is loaded again is still logged in: `resume()`.
 */
export class ChatApi {
  constructor(url = "") {
    this.url = url;
    this.accessToken = null;
    this.endsAt = 0; // of the access token, in ms of Date.now()
    this.renewing = null;
    this.userId = null; // whose log-in it is
  }

  register = (fields) => this.request("POST", "/auth/register", { body: fields });

  /** Log in by user name or email address; the profile of who did. */
  async logIn(name, password) {
    const field = name.includes("@") ? "email" : "username";
    const { data } = await this.request("POST", "/auth/login", { body: { [field]: name, password } });
    this.userId = null;
    this.keep(data);
    return data.user;
  }

  /** Go on with the log-in of an earlier visit; the profile of whom it is. Throws LoggedOut when there is none. */
  async resume() {
    await this.token();
    return this.get("/auth/me");
  }

  async logOut() {
    await this.request("POST", "/auth/logout", { token: this.accessToken });
    this.accessToken = null;
  }

  get = async (path) => (await this.call("GET", path)).data;
  post = async (path, body) => (await this.call("POST", path, { body })).data;
  delete = async (path) => (await this.call("DELETE", path)).data;

  /** All items of a list that comes in pages, `most` of them at the most. */
  async list(path, most = Infinity) {
    const items = [];
    for (let next = ""; next !== null && items.length < most; ) {
      const cursor = next ? `${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(next)}` : "";
      const page = await this.call("GET", path + cursor);
      items.push(...page.data);
      next = page.meta.next;
    }
    return items.slice(0, most);
  }

  /** The messages before a position, oldest first. */
  history = async (roomId, before, limit = 50) =>
    (await this.get(`/room/${roomId}/messages?before=${before}&limit=${limit}`)).messages;

  /** Upload an image for a room and return its `url`, to be sent with a message; `onProgress` gets 0 to 1. */
  async uploadImage(file, roomId, onProgress = () => {}) {
    const form = new FormData();
    form.append("roomId", roomId);
    form.append("image", file, file.name || "image");
    const token = await this.token();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch() tells nothing of an upload under way
      request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
      request.onerror = request.ontimeout = () => reject(new ApiError({}));
      request.onload = () => {
        const body = parsed(request.responseText);
        if (request.status === 201) resolve(body.data.url);
        else reject(new ApiError(body, request.status));
      };
      request.open("POST", `${this.url}/api/v1/upload/image`);
      request.timeout = 300_000;
      request.setRequestHeader("authorization", `Bearer ${token}`);
      request.send(form);
    });
  }

  /** A call of somebody who is logged in. Reads are repeated while a service is away, writes never by themselves. */
  async call(method, path, { body } = {}) {
    for (let pause = SECONDS.retry, tries = 1; ; pause *= 2, tries += 1) {
      try {
        return await this.request(method, path, { body, token: await this.token() });
      } catch (error) {
        if (error.status === 401 && !(error instanceof LoggedOut) && tries === 1) this.endsAt = 0;
        else if (method !== "GET" || !error.retryable || tries === 5) throw error;
        else await sleep(pause * between(0.5, 1.5));
      }
    }
  }

  /** An access token that is good for another half minute at least. Throws LoggedOut when there can be none. */
  async token() {
    if (Date.now() < this.endsAt - 30_000) return this.accessToken;
    this.renewing ??= this.renew().finally(() => (this.renewing = null));
    return this.renewing;
  }

  async renew() {
    for (let pause = SECONDS.retry; ; pause = Math.min(pause * 2, SECONDS.longest)) {
      try {
        // The answer may get lost: for 10 seconds the same token is good again, so it is asked for anew by then.
        return this.keep((await this.request("POST", "/auth/refreshToken", { seconds: 4 })).data);
      } catch (error) {
        if (error instanceof LoggedOut) throw error;
        if (!error.retryable) throw new LoggedOut(error, error.status);
        await sleep(pause * between(0.5, 1.5)); // auth is away: a log-in does not end by that
      }
    }
  }

  /** Tabs share the cookie: when somebody else has logged in by another one, this log-in is over. */
  keep({ accessToken, expiresIn }) {
    const userId = subject(accessToken);
    this.userId ??= userId;
    if (userId !== this.userId) throw new LoggedOut({ code: "other_user", message: "Somebody else has logged in" });
    this.accessToken = accessToken;
    this.endsAt = Date.now() + expiresIn * 1000;
    return accessToken;
  }

  async request(method, path, { body, token, seconds = 15 } = {}) {
    const headers = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (token) headers.authorization = `Bearer ${token}`;
    const signal = AbortSignal.timeout(seconds * 1000);
    const send = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
    const [answer, text] = await fetch(`${this.url}/api/v1${path}`, send)
      .then(async (found) => [found, await found.text()])
      .catch(() => {
        throw new ApiError({});
      });
    if (!answer.ok) throw new ApiError(parsed(text), answer.status);
    return parsed(text);
  }
}

/** The id of the user whose access token it is (RFC 7519 §4.1.2). */
function subject(accessToken) {
  const payload = accessToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(payload)).sub;
}

/** What was said, or nothing where a proxy answered in a language of its own. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
