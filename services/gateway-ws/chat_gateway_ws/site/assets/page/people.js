// Who is in the open room, and who of them is online.

import { $, aside, attempt, el } from "./dom.js";
import { EVERY_MS, sleep } from "./patience.js";

const SHOWN = 500;

export function showPeople(store) {
  const box = $("#people");
  let members = [];
  let loading = null; // the room whose members are on their way
  let isStale = false;

  const load = async () => {
    isStale = true;
    if (loading) return;
    while (isStale && store.current && !box.hidden) {
      isStale = false;
      loading = store.current;
      const found = await store.api.list(`/room/${loading.info.id}/members?limit=100`, SHOWN).catch(() => null);
      if (found && store.current === loading) {
        members = found;
        store.directory.need(members.map(({ userId }) => userId), { again: true }); // `isOnline` may have changed
        render();
      }
      if (isStale && store.current === loading) await sleep(EVERY_MS);
    }
    loading = null;
  };
  const render = () => {
    if (box.hidden || !store.current) return;
    const people = members.map((member) => ({ ...member, person: store.directory.get(member.userId) }));
    people.sort((one, other) => rank(one) - rank(other) || name(one).localeCompare(name(other)));
    $("ul", box).replaceChildren(...people.map(entry));
    $("#add-person").hidden = !["owner", "admin"].includes(store.current.info.role);
    showKnown(store, members);
  };
  aside("#people-toggle", "#people", load);
  store.addEventListener("open", () => {
    members = [];
    if (!store.current) box.hidden = true;
    render();
    load();
  });
  store.addEventListener("members", ({ detail }) => detail.room === store.current && load());
  store.directory.addEventListener("change", render);
  showAdding(store, load);
}

const rank = ({ person }) => (person?.isOnline ? 0 : 1);
const name = ({ person }) => person?.username ?? "…";

function entry(member) {
  const isOnline = Boolean(member.person?.isOnline);
  return el(
    "li",
    { data: { online: isOnline, user: member.userId } },
    el("span", { className: "dot", aria: { hidden: "true" } }),
    el("span", { className: "name" }, name(member)),
    el("span", { className: "hidden" }, isOnline ? " online" : " offline"),
    member.role === "member" ? null : el("span", { className: "quiet" }, member.role),
  );
}

/** Offer the names of people whom I know and who are not here. */
function showKnown(store, members) {
  const here = new Set(members.map(({ userId }) => userId));
  const others = store.directory.all().filter(({ id, isDeleted }) => !here.has(id) && !isDeleted);
  $("#known").replaceChildren(...others.map(({ username }) => el("option", { value: username })));
}

function showAdding(store, onAdded) {
  const form = $("#add-person");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form.querySelectorAll("button"), $("output", form), async () => {
      const wanted = new FormData(form).get("username").trim().toLowerCase();
      const person = store.directory.all().find(({ username }) => username.toLowerCase() === wanted);
      if (!person) throw new Error("You share no room with anybody of that name");
      await store.api.post(`/room/${store.current.info.id}/members`, { userId: person.id });
      form.reset();
      onAdded();
    });
  });
}
