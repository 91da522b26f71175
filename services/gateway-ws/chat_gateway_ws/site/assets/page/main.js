// The start of the page: who is here, and from then on what they see.

import { ChatApi, LoggedOut } from "../chat-client.js";
import { showComposer } from "./composer.js";
import { $, dialog, notice } from "./dom.js";
import { showPanel } from "./panel.js";
import { showPeople } from "./people.js";
import { showRoom } from "./room.js";
import { showRooms } from "./rooms.js";
import { forget, remember, remembered } from "./storage.js";
import { Store } from "./store.js";
import { showWelcome } from "./welcome.js";

const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  "catching up": "Catching up…",
  disconnected: "Reconnecting… What you write is kept and sent.",
};
const VISITED = "chat.logged-in"; // in this browser; whoever never was is not asked for by the server in vain
const api = new ChatApi();
let isLeaving = false;

async function begin(me) {
  remember(VISITED, "yes");
  const store = new Store(api, me);
  $("#me").textContent = me.username;
  showState(store);
  for (const view of [showRooms, showRoom, showComposer, showPeople, showPanel]) view(store);
  store.addEventListener("end", () => isLeaving || end("Your session has ended. Log in again."));
  store.addEventListener("unsendable", ({ detail }) =>
    notice(`Not sent, since you are not in its room any more: ${detail.content}`, { stays: true }),
  );
  offerLogOut(store);
  show("#chat");
  await store.start();
  $("#new-room-open").focus();
  if (store.rooms.size && matchMedia("(min-width: 60rem)").matches) store.open(store.sortedRooms()[0].info.id);
}

function showState(store) {
  const line = $("#state");
  const update = () => {
    if (line.textContent !== STATES[store.state]) line.textContent = STATES[store.state];
    line.dataset.state = store.state;
    $("#hurry").hidden = store.state === "connected" || store.state === "catching up";
  };
  store.addEventListener("state", update);
  update();
  $("#hurry").addEventListener("click", () => store.client?.hurry());
  addEventListener("online", () => store.client?.hurry());
}

/** Log out by a button; whoever has something that is not sent yet is asked. */
function offerLogOut(store) {
  const logOut = async () => {
    isLeaving = true; // the socket may hear of it before this is answered
    try {
      await api.logOut();
    } catch (error) {
      isLeaving = error.status === 401; // it has ended already
      if (!isLeaving) throw error;
    }
    store.stop();
    end("");
  };
  const ask = dialog("#unsent", logOut);
  $("#log-out").addEventListener("click", () => {
    $("#unsent strong").textContent = store.unsent;
    if (store.unsent) ask();
    else logOut().catch((error) => notice(error.message));
  });
}

function welcome(why) {
  show("#welcome");
  showWelcome(api, begin, why);
}

/** Show one of the parts of the page. */
function show(part) {
  for (const other of ["#starting", "#welcome", "#chat"]) $(other).hidden = other !== part;
}

/** Begin anew with an empty page, which forgets all that was shown; it says why. */
function end(why) {
  forget(VISITED);
  remember("chat.why", why);
  location.reload();
}

async function start() {
  const why = remembered("chat.why") ?? "";
  forget("chat.why");
  if (!remembered(VISITED)) return welcome(why);
  try {
    await begin(await api.resume());
  } catch (error) {
    if (error instanceof LoggedOut) return welcome("");
    notice(`${error.message}. Load the page again.`);
  }
}

start();
