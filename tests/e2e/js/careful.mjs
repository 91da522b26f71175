// The CarefulClient of chat-client.js, driven by a test: one JSON object per line in each direction.
//
// Started with the client's file, the URL, the access token and the rooms (JSON). Reads {id, message} and sends
// that message, or {stop: true}, after which nothing keeps the process alive. Writes {kind, …}: connected, applied, reset, sent, refused, ended.

import { createInterface } from "node:readline";

const [file, url, token, rooms] = process.argv.slice(2);
const { CarefulClient } = await import(file);
const write = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const app = {
  epoch: null,
  positions: new Map(JSON.parse(rooms).map((roomId) => [roomId, 0])),
  outbox: new Map(),
  auth: () => ({ token }),
  onMessage: (message) => write({ kind: "applied", message }),
  onReset: (roomId, head, epoch) => {
    write({ kind: "reset", roomId, head, epoch });
    return Math.max(head - 50, 0);
  },
  onEnd: (why) => write({ kind: "ended", why }),
};
const client = new CarefulClient(url, app, { answer: 5, retry: 0.1, reconnect: 0.1, longest: 0.5 });
client.socket.on("connect", () => write({ kind: "connected" }));

const lines = createInterface({ input: process.stdin });
lines
  .on("line", (line) => {
    const { id, message, stop } = JSON.parse(line);
    if (stop) {
      lines.removeAllListeners("close");
      process.stdin.destroy();
      return client.stop();
    }
    client.send(message).then(
      (answer) => write({ kind: "sent", id, answer }),
      (error) => write({ kind: "refused", id, code: error.message }),
    );
  })
  .on("close", () => process.exit(0));
