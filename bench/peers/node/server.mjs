// A chat server as the documentation of Socket.IO, its Redis adapter and the MongoDB driver shows it.
//
// Settings come from the environment: PORT, HOST, MONGO_URL, MONGO_DB, REDIS_URL, BENCH_SECRET, and
// DURABLE=0 for a server that neither journals a message nor waits for its insert before passing it on.

import { createSecretKey } from "node:crypto";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { MongoClient, ObjectId } from "mongodb";
import { createClient } from "redis";
import { Server } from "socket.io";

const { PORT, HOST = "127.0.0.1", MONGO_URL, MONGO_DB, REDIS_URL, BENCH_SECRET } = process.env;
const durable = process.env.DURABLE !== "0";
const secret = createSecretKey(Buffer.from(BENCH_SECRET)); // made once, not for each token
const ROOM_ID = /^[0-9a-f]{24}$/;
const PAGE = 50;
const MAX_PAGE = 100;
const MAX_CONTENT = 4000;

class Refusal extends Error {
  constructor(code, status) {
    super(code);
    this.status = status;
    this.data = { code, message: code, retryable: false }; // what a refused connect hands to the client
  }
}

// --- Storage

const mongo = await new MongoClient(MONGO_URL).connect();
const db = mongo.db(MONGO_DB);
const members = db.collection("members");
const messages = db.collection("messages", {
  writeConcern: durable ? { w: "majority", journal: true } : { w: 1, journal: false },
});
await members.createIndex({ roomId: 1, userId: 1 }, { unique: true });
await messages.createIndex({ roomId: 1, createdAt: -1, _id: -1 });

async function requireMember(roomId, userId) {
  const valid = typeof roomId === "string" && ROOM_ID.test(roomId);
  const member = valid && (await members.findOne({ roomId, userId }, { projection: { _id: 0, userId: 1 } }));
  if (!member) throw new Refusal("not_a_member", 403);
}

// The newest messages, or the newest of those before `{createdAt, _id}`; oldest first.
// Ids alone are no order: within a second those of two processes compare by chance.
async function history(roomId, limit = PAGE, before = null) {
  const filter = { roomId };
  if (before) {
    filter.createdAt = { $lte: before.createdAt };
    filter.$or = [{ createdAt: { $lt: before.createdAt } }, { _id: { $lt: before._id } }];
  }
  const newest = await messages.find(filter).sort({ createdAt: -1, _id: -1 }).limit(limit).toArray();
  return { roomId, messages: newest.reverse().map(toWire) };
}

// Plain strings, so that neither the Socket.IO parser nor the adapter has to look into ids and dates.
const toWire = ({ _id, createdAt, ...fields }) => ({
  messageId: _id.toHexString(),
  createdAt: createdAt.toISOString(),
  ...fields,
});

// --- Who is asking

function userOf(token) {
  try {
    return jwt.verify(token, secret, { algorithms: ["HS256"] }).sub;
  } catch {
    throw new Refusal("unauthenticated", 401);
  }
}

// --- HTTP: GET /history?roomId=&before=<createdAt>_<messageId>&limit=

async function getHistory(request) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (request.method !== "GET" || pathname !== "/history") throw new Refusal("not_found", 404);
  const userId = userOf((request.headers.authorization ?? "").replace(/^Bearer /, ""));
  const roomId = searchParams.get("roomId");
  const before = positionOf(searchParams.get("before"));
  const limit = Number(searchParams.get("limit") ?? PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) throw new Refusal("invalid", 400);
  await requireMember(roomId, userId);
  return history(roomId, limit, before);
}

function positionOf(cursor) {
  if (!cursor) return null;
  const [createdAt, id] = cursor.split("_");
  if (Number.isNaN(Date.parse(createdAt)) || !ObjectId.isValid(id)) throw new Refusal("invalid", 400);
  return { createdAt: new Date(createdAt), _id: new ObjectId(id) };
}

const httpServer = createServer(async (request, response) => {
  let status = 200;
  const body = await getHistory(request).catch((error) => {
    status = error.status ?? 500;
    return { ok: false, error: describe(error) };
  });
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
});

function describe(error) {
  if (error instanceof Refusal) return error.data;
  console.error(error);
  return { code: "internal", message: "internal error", retryable: true };
}

// --- Socket.IO

const publisher = createClient({ url: REDIS_URL });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) client.on("error", (error) => console.error(error));
await Promise.all([publisher.connect(), subscriber.connect()]);

const io = new Server(httpServer, { adapter: createAdapter(publisher, subscriber), serveClient: false });

// From the documentation on memory usage: nothing here needs the first HTTP request of a connection later.
io.engine.on("connection", (rawSocket) => {
  rawSocket.request = null;
});

io.use((socket, next) => {
  try {
    socket.data.userId = userOf(socket.handshake.auth.token);
    next();
  } catch (error) {
    next(error);
  }
});

io.on("connection", (socket) => {
  answer(socket, "join_room", async ({ roomId }, ack) => {
    await requireMember(roomId, socket.data.userId);
    await socket.join(roomId);
    ack({ ok: true, roomId });
    socket.emit("message-history", await history(roomId));
  });

  answer(socket, "send_message", async (message, ack) => {
    const { messageId, createdAt } = await send(socket, message);
    ack({ ok: true, messageId, createdAt });
  });
});

function answer(socket, event, handler) {
  socket.on(event, async (payload, ack) => {
    const reply = typeof ack === "function" ? ack : () => {};
    try {
      await handler(payload ?? {}, reply);
    } catch (error) {
      reply({ ok: false, error: describe(error) });
    }
  });
}

async function send(socket, { roomId, content, messageType = "text", clientMessageId = null }) {
  // A socket's own id is among its rooms too, and looks different.
  if (!ROOM_ID.test(roomId) || !socket.rooms.has(roomId)) throw new Refusal("not_a_member", 403);
  if (typeof content !== "string" || content.length > MAX_CONTENT) throw new Refusal("invalid", 400);
  const senderId = socket.data.userId;
  const createdAt = new Date();
  const message = { _id: new ObjectId(), roomId, senderId, content, messageType, createdAt, clientMessageId };
  const stored = messages.insertOne(message);
  if (durable) await stored;
  else stored.catch((error) => console.error(error));
  const sent = toWire(message);
  io.to(roomId).emit("new-message", sent);
  return sent;
}

// --- Start and end

// As many connections as uvicorn lets wait; Node's own 511 would make a storm of them wait for a retry.
httpServer.listen({ port: Number(PORT), host: HOST, backlog: 2048 }, () => console.log("ready"));

process.once("SIGTERM", async () => {
  await io.close();
  await Promise.all([publisher.close(), subscriber.close()]);
  await mongo.close();
});
