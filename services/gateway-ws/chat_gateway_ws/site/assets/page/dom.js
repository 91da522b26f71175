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

/** Show one message after the other to everybody, screen readers included. */
export function notice(text) {
  const line = $("#notice");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => (line.hidden = true), 6000);
}

/** Run what a form or button asks for, with the form disabled meanwhile and failures shown in `output`. */
export async function attempt(controls, output, work) {
  output.textContent = "";
  for (const control of controls) control.disabled = true;
  try {
    return await work();
  } catch (error) {
    output.textContent = error.message;
    return undefined;
  } finally {
    for (const control of controls) control.disabled = false;
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
  $("[data-cancel]", box).addEventListener("click", () => box.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const work = async () => (await onSubmit(new FormData(form))) ?? (() => {});
    const then = await attempt(form.querySelectorAll("button"), output, work);
    if (!then) return;
    box.close(); // which gives the focus back to the button that showed it
    then();
  });
  return () => {
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
  button.addEventListener("click", () => {
    const show = box.hidden;
    for (const other of document.querySelectorAll("aside")) other.hidden = true;
    box.hidden = !show;
    if (show) onShow();
  });
}
