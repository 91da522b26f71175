// The list of my rooms, and how to get more of them.

import { $, attempt, dialog, el } from "./dom.js";

export function showRooms(store) {
  const list = $("#rooms ul");
  const entries = new Map(); // by room: they stay, so that focus and clicks meet what they were meant for
  const render = () => {
    const rooms = store.sortedRooms();
    const focused = document.activeElement;
    for (const [id, item] of entries) {
      if (store.rooms.has(id)) continue;
      item.remove();
      entries.delete(id);
    }
    rooms.forEach((room, index) => {
      const { id } = room.info;
      if (!entries.has(id)) entries.set(id, entry(store, id));
      const item = entries.get(id);
      update(item, room, store.current === room);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    if (list.contains(focused) && document.activeElement !== focused) focused.focus();
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

function entry(store, id) {
  const parts = [el("span", { className: "mark", aria: { hidden: "true" } }), el("span", { className: "name" })];
  const badge = el("span", { className: "badge" }, el("b"), el("span", { className: "hidden" }, " unread"));
  return el("li", {}, el("button", { type: "button", data: { room: id }, onClick: () => store.open(id) }, ...parts, badge));
}

function update(item, { info, unread }, isOpen) {
  $(".mark", item).textContent = info.roomType === "private" ? "●" : "#";
  $(".name", item).textContent = info.roomName;
  $(".badge", item).hidden = !unread;
  $("b", item).textContent = Math.min(unread, 999);
  $("button", item).setAttribute("aria-current", isOpen);
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
