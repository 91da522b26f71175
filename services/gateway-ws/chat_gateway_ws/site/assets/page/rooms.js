// The list of my rooms, and how to get more of them.

import { $, attempt, dialog, el } from "./dom.js";

export function showRooms(store) {
  const list = $("#rooms ul");
  const render = () => {
    const rooms = store.sortedRooms();
    list.replaceChildren(...rooms.map((room) => entry(store, room)));
    $("#rooms p").hidden = rooms.length > 0;
    const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
    document.title = unread ? `(${unread}) Chat` : "Chat";
  };
  store.addEventListener("rooms", render);
  store.addEventListener("open", render);

  const newRoom = dialog("#new-room", async (fields) => {
    const id = await store.createRoom({
      roomName: fields.get("roomName"),
      description: fields.get("description"),
      roomType: fields.get("private") ? "private" : "public",
    });
    return () => store.open(id);
  });
  $("#new-room-open").addEventListener("click", newRoom);
  showFinding(store);
}

function entry(store, room) {
  const { id, roomName, roomType } = room.info;
  const isOpen = store.current === room;
  const badge = room.unread
    ? el("span", { className: "badge" }, String(Math.min(room.unread, 999)), el("span", { className: "hidden" }, " unread"))
    : null;
  const button = el(
    "button",
    { type: "button", data: { room: id }, onClick: () => store.open(id) },
    el("span", { className: "mark", aria: { hidden: "true" } }, roomType === "private" ? "●" : "#"),
    el("span", { className: "name" }, roomName),
    badge,
  );
  if (isOpen) button.setAttribute("aria-current", "true");
  return el("li", {}, button);
}

/** The dialog with public rooms: searched as one types, joined by a button. */
function showFinding(store) {
  const box = $("#find-room");
  const [search, output, list] = [$("input", box), $("output", box), $("ul", box)];
  let asked = 0;

  const find = async () => {
    const turn = (asked += 1);
    const query = search.value.trim();
    const found = await attempt([], output, () =>
      store.api.get(`/room/public?limit=50${query ? `&q=${encodeURIComponent(query)}` : ""}`),
    );
    if (turn !== asked || !found) return; // something else was typed meanwhile
    list.replaceChildren(...found.map(foundEntry));
    if (!found.length) output.textContent = "No such room. Make it?";
  };
  const foundEntry = ({ id, roomName, description, memberCount }) => {
    const isMine = store.rooms.has(id);
    const act = () =>
      attempt([button], output, async () => {
        if (!isMine) await store.joinRoom(id);
        box.close();
        store.open(id);
      });
    const button = el("button", { type: "button", onClick: act }, isMine ? "Open" : "Join");
    button.setAttribute("aria-label", `${button.textContent} ${roomName}`);
    const people = memberCount === 1 ? "1 member" : `${memberCount} members`;
    const about = el("p", { className: "quiet" }, description ? `${people} · ${description}` : people);
    return el("li", {}, el("div", {}, el("strong", {}, roomName), about), button);
  };

  const show = dialog("#find-room", () => find().then(() => false));
  search.addEventListener("input", find);
  $("#find-room-open").addEventListener("click", () => {
    list.replaceChildren();
    show();
    find();
  });
}
