// The start of the page: who is here, and from then on what they see.

import { ChatApi, LoggedOut } from "../chat-client.js";
import { showComposer } from "./composer.js";
import { $, dialog, notice } from "./dom.js";
import { showPanel } from "./panel.js";
import { showPeople } from "./people.js";
import { showRoom } from "./room.js";
import { showRooms } from "./rooms.js";
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

async function begin(me) {
  localStorage.setItem(VISITED, "yes");
  const store = new Store(api, me);
  $("#me").textContent = me.username;
  showState(store);
  for (const show of [showRooms, showRoom, showComposer, showPeople, showPanel]) show(store);
  store.addEventListener("end", () => end("Your session has ended. Log in again."));
  store.addEventListener("unsendable", ({ detail }) =>
    notice(`Not sent, since you are not in its room any more: ${detail.content}`),
  );
  offerLogOut(store);
  $("#welcome").hidden = true;
  $("#chat").hidden = false;
  await store.start();
  if (store.rooms.size && matchMedia("(min-width: 60rem)").matches) store.open(store.sortedRooms()[0].info.id);
}

function showState(store) {
  const line = $("#state");
  const show = () => {
    line.textContent = STATES[store.state];
    line.dataset.state = store.state;
    $("#hurry").hidden = store.state === "connected" || store.state === "catching up";
  };
  store.addEventListener("state", show);
  show();
  $("#hurry").addEventListener("click", () => store.client.hurry());
  addEventListener("online", () => store.client?.hurry());
}

/** Log out by a button; whoever has something that is not sent yet is asked. */
function offerLogOut(store) {
  const logOut = async () => {
    try {
      await api.logOut();
    } catch (error) {
      if (error.status !== 401) throw error; // it has ended already
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

/** Begin anew with an empty page, which forgets all that was shown; it says why. */
function end(why) {
  localStorage.removeItem(VISITED);
  sessionStorage.setItem("why", why);
  location.reload();
}

async function start() {
  const why = sessionStorage.getItem("why") ?? "";
  sessionStorage.removeItem("why");
  if (!localStorage.getItem(VISITED)) return showWelcome(api, begin, why);
  try {
    await begin(await api.resume());
  } catch (error) {
    if (error instanceof LoggedOut) return end("");
    notice(`${error.message}. Load the page again.`);
  }
}

start();
