// For the curious: what the client knows and does, and a way to disturb it.

import { $, aside, el } from "./dom.js";

const EVERY_MS = 500;

export function showPanel(store) {
  const box = $("#panel");
  const render = () => {
    if (box.hidden || !store.client) return;
    $("dl", box).replaceChildren(...facts(store).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
    $("tbody", box).replaceChildren(...store.sortedRooms().map((room) => row(store, room)));
  };
  aside("#panel-toggle", "#panel", render);
  $("#cut").addEventListener("click", () => store.client.socket.io.engine.close());
  for (const event of ["state", "pending"]) store.addEventListener(event, render);
  setInterval(render, EVERY_MS);
}

function facts({ client, app, state, pending }) {
  const { connects, missed, holes, doubles, repeats } = client.counts;
  return [
    ["Connection", state],
    ["Times connected", connects],
    ["Epoch of the log", app.epoch ?? "–"],
    ["Caught up with", missed],
    ["Holes repaired", holes],
    ["Doubles dropped", doubles],
    ["Sends repeated", repeats],
    ["On their way", pending.size],
  ];
}

function row(store, { info }) {
  const position = store.client.position(info.id);
  const head = Math.max(position, store.heads.get(info.id) ?? 0);
  return el(
    "tr",
    { data: { room: info.id } },
    el("th", { scope: "row" }, info.roomName),
    el("td", {}, String(position)),
    el("td", {}, String(head)),
  );
}
