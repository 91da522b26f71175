// A chat application as it was written for the Express original: cookies for REST, events with hyphens, bare
// room ids, no acknowledgements. node old-client.mjs URL USERNAME PASSWORD ROOM TEXT
//
// Logs in, joins the room, sends the text and prints, as one JSON object, what it got; ends when its own
// message came back.

import { io } from "socket.io-client";

const [url, username, password, roomId, text] = process.argv.slice(2);
const api = `${url}/api/v1`;
const json = { "content-type": "application/json" };

const login = await fetch(`${api}/auth/login`, { method: "POST", headers: json, body: JSON.stringify({ username, password }) });
const cookie = login.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
const { data } = await login.json();
const rooms = await (await fetch(`${api}/room`, { headers: { cookie } })).json();
const old = await (await fetch(`${api}/room/${roomId}/messages?limit=5&skip=0`, { headers: { cookie } })).json();

// In a browser the cookie that leads to the same gateway is sent by itself.
const socket = io(url, { auth: { token: data.accessToken }, withCredentials: true });
const fail = (what) => (error) => { console.error(what, error); process.exit(1); };
socket.on("connect_error", fail("refused"));
socket.on("error", fail("error"));
socket.on("connect", () => socket.emit("join-room", roomId));
socket.on("message-history", ({ messages }) => {
  socket.emit("send-message", { roomId, content: text, messageType: "text" });
  socket.on("new-message", ({ _id, sender, content, messageType, createdAt }) => {
    if (content !== text) return;
    console.log(JSON.stringify({
      me: data.user._id,
      rooms: rooms.data.map((room) => room._id),
      total: old.data.totalMessage,
      history: messages.map((message) => message._id),
      message: { _id, sender, messageType, createdAt },
    }));
    socket.emit("leave-room", roomId);
    socket.disconnect();
    process.exit(0);
  });
});
setTimeout(fail("nothing came back"), 10_000);
