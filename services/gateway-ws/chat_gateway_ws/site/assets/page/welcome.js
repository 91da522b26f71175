// Logging in and registering.

import { $, attempt } from "./dom.js";

/** Show the forms until somebody is logged in, who is passed to `begin`; `why` tells why they are shown. */
export function showWelcome(api, begin, why) {
  const tabs = ["login", "register"];
  const select = (chosen) => {
    for (const name of tabs) {
      const tab = $(`#tab-${name}`);
      tab.setAttribute("aria-selected", name === chosen);
      tab.tabIndex = name === chosen ? 0 : -1;
      $(`#${name}`).hidden = name !== chosen;
    }
    $(`#${chosen} input`).focus();
  };
  for (const name of tabs) $(`#tab-${name}`).addEventListener("click", () => select(name));
  $("[role=tablist]").addEventListener("keydown", ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = tabs[1 - tabs.findIndex((name) => !$(`#${name}`).hidden)];
    select(other);
    $(`#tab-${other}`).focus();
  });

  onSubmit("#login", async ({ name, password }) => begin(await api.logIn(name, password)));
  onSubmit("#register", async (fields) => {
    await api.register(fields);
    await begin(await api.logIn(fields.username, fields.password));
  });

  select("login");
  $("#login output").textContent = why;
}

function onSubmit(selector, work) {
  const form = $(selector);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    attempt(form.querySelectorAll("button"), $("output", form), () => work(fields));
  });
}
