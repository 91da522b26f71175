// Making and finding elements. Text is always set as text, so nothing that people write becomes markup.

export const $ = (selector, within = document) => within.querySelector(selector);

/** Make an element: properties by name, `data` and `aria` as objects, listeners as `onClick`; children may be text. */
export function el(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "role") node.setAttribute("role", value);
    else node[name] = value;
  }
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The path of a file of this installation: its URL may name the host otherwise than this page was opened. */
export const mediaPath = (url) => {
  const path = URL.canParse(url) ? new URL(url).pathname : "";
  return path.startsWith("/media/") ? path : null;
};

/** Tell something to everybody, screen readers included; what `stays` does so until it was dismissed. */
export function notice(text, { stays = false } = {}) {
  const line = el("p", {}, el("span", {}, text));
  line.append(el("button", { type: "button", aria: { label: "Dismiss" }, onClick: () => line.remove() }, "×"));
  $("#notices").append(line);
  if (!stays) setTimeout(() => line.remove(), 6000);
}

/** Run what a form or button asks for, with the form disabled meanwhile and failures shown in `output`. */
export async function attempt(controls, output, work) {
  const focused = document.activeElement;
  output.textContent = "";
  for (const control of controls) control.disabled = true;
  try {
    return await work();
  } catch (error) {
    output.textContent = error.message;
    return undefined;
  } finally {
    for (const control of controls) control.disabled = false;
    if (document.activeElement === document.body) focused?.focus(); // who is disabled loses the focus
  }
}

/**
 * Return what shows a dialog. It closes by its cancel button, by Escape, or when `onSubmit` worked, which may return
 * what to do then, or false to have it stay.
 */
export function dialog(selector, onSubmit) {
  const box = $(selector);
  const form = $("form", box);
  const output = $("output", box);
  let shown = 0;
  $("[data-cancel]", box).addEventListener("click", () => box.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const work = async () => (await onSubmit(new FormData(form))) ?? (() => {});
    const showing = shown;
    const then = await attempt(form.querySelectorAll("button"), output, work);
    if (!then || !box.open || showing !== shown) return; // somebody has closed it, which is an answer, too
    box.close(); // which gives the focus back to the button that showed it
    then();
  });
  return () => {
    shown += 1;
    form.reset();
    output.textContent = "";
    box.showModal();
  };
}

/** Let a button show and hide something at the side, one of which is shown at a time; `onShow` fills it. */
export function aside(buttonSelector, boxSelector, onShow) {
  const [button, box] = [$(buttonSelector), $(boxSelector)];
  const change = new MutationObserver(() => button.setAttribute("aria-expanded", String(!box.hidden)));
  change.observe(box, { attributeFilter: ["hidden"] });
  const close = () => {
    box.hidden = true;
    button.focus();
  };
  $("[data-close]", box).addEventListener("click", close);
  box.addEventListener("keydown", ({ key }) => key === "Escape" && close());
  button.addEventListener("click", () => {
    const show = box.hidden;
    for (const other of document.querySelectorAll("aside")) other.hidden = true;
    box.hidden = !show;
    if (show) onShow();
  });
}
