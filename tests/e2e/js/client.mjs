// A stock socket.io-client that a test drives: one JSON object per line in each direction.
//
// Started with the URL, the access token and the client's options (JSON). Reads
// {id, event, payload} and sends that event, {disconnect: true} ends it. Writes {kind, …}:
// opened, upgraded, connected, event, ack, refused, disconnected.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, token, options] = process.argv.slice(2);
const socket = io(url, { auth: { token }, reconnection: false, ...JSON.parse(options) });
const write = (line) => process.stdout.write(JSON.stringify(line) + "\n");

socket.io.on("open", () => {
  write({ kind: "opened", transport: socket.io.engine.transport.name });
  socket.io.engine.on("upgrade", (transport) => write({ kind: "upgraded", transport: transport.name }));
});
socket.on("connect", () => write({ kind: "connected" }));
socket.on("connect_error", (error) => write({ kind: "refused", message: error.message, data: error.data }));
socket.on("disconnect", (reason) => write({ kind: "disconnected", reason }));
socket.onAny((event, payload) => write({ kind: "event", event, payload }));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, event, payload, disconnect } = JSON.parse(line);
    if (disconnect) socket.disconnect();
    else socket.emit(event, payload, (answer) => write({ kind: "ack", id, answer }));
  })
  .on("close", () => process.exit(0));
