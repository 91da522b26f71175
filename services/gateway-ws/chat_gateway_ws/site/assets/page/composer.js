// Writing: text, and images that are picked, pasted or dropped.

import { $, el } from "./dom.js";

const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MAX_IMAGES = 10;
const TYPING_EVERY_MS = 3000;

export function showComposer(store) {
  new Composer(store);
}

class Composer {
  constructor(store) {
    this.store = store;
    this.form = $("#composer");
    this.text = $("#text");
    this.tray = new Tray(store, () => this.showReady());
    this.drafts = new Map(); // by room: text that was not sent
    this.toldTyping = 0;
    this.roomId = null;
    this.listen();
  }

  listen() {
    this.store.addEventListener("open", () => this.open());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener("input", () => {
      this.fit();
      this.tellTyping(this.text.value !== "");
    });
    this.text.addEventListener("blur", () => this.tellTyping(false));
    this.listenForImages();
  }

  listenForImages() {
    const room = $("#room");
    $("#file").addEventListener("change", ({ target }) => {
      this.tray.add(target.files);
      target.value = "";
    });
    this.text.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.tray.add(event.clipboardData.files);
    });
    room.addEventListener("dragover", (event) => {
      event.preventDefault();
      room.classList.add("dropping");
    });
    room.addEventListener("dragleave", () => room.classList.remove("dropping"));
    room.addEventListener("drop", (event) => {
      event.preventDefault();
      room.classList.remove("dropping");
      if (this.roomId) this.tray.add(event.dataTransfer.files);
    });
  }

  open() {
    const roomId = this.store.current?.info.id ?? null;
    if (roomId === this.roomId) return;
    this.tellTyping(false);
    this.drafts.set(this.roomId, this.text.value);
    this.roomId = roomId;
    this.text.value = this.drafts.get(roomId) ?? "";
    this.tray.open(roomId);
    this.fit();
    if (roomId && matchMedia("(hover: hover)").matches) this.text.focus();
  }

  /** Send what is there: the text goes with the first image, if there is one. */
  send() {
    const text = this.text.value.trim();
    const images = this.tray.ready();
    if (!this.roomId || images === null || (!text && !images.length)) return;
    if (!images.length) this.store.send(this.roomId, text);
    images.forEach((url, index) => this.store.send(this.roomId, index === 0 ? text : "", url));
    this.text.value = "";
    this.tray.empty();
    this.tellTyping(false);
    this.fit();
  }

  fit() {
    this.text.rows = Math.min(8, this.text.value.split("\n").length);
  }

  showReady() {
    $(".primary", this.form).disabled = this.tray.ready() === null;
  }

  /** Best effort: nobody waits for it, and it is told again only after a while. */
  tellTyping(typing) {
    const { socket } = this.store.client ?? {};
    if (!this.roomId || !socket?.connected) return;
    const isNew = typing ? Date.now() - this.toldTyping > TYPING_EVERY_MS : this.toldTyping > 0;
    if (!isNew) return;
    this.toldTyping = typing ? Date.now() : 0;
    socket.emit("typing", { roomId: this.roomId, typing }, () => {});
  }
}

/** The images that go with the next message of a room. Each is uploaded at once. */
class Tray {
  constructor(store, onChange) {
    this.store = store;
    this.onChange = onChange;
    this.list = $("#tray");
    this.roomId = null;
    this.byRoom = new Map();
  }

  get images() {
    if (!this.byRoom.has(this.roomId)) this.byRoom.set(this.roomId, new Set());
    return this.byRoom.get(this.roomId);
  }

  open(roomId) {
    this.roomId = roomId;
    this.list.replaceChildren(...[...this.images].map(({ item }) => item));
    this.onChange();
  }

  empty() {
    for (const image of this.images) this.remove(image);
  }

  /** The URLs of all images, or null while one of them is not there yet. */
  ready() {
    const urls = [...this.images].map(({ url }) => url);
    return urls.every(Boolean) ? urls : null;
  }

  add(files) {
    for (const file of [...files].slice(0, MAX_IMAGES - this.images.size)) {
      const image = { file, roomId: this.roomId, url: null, preview: URL.createObjectURL(file) };
      image.item = this.item(image);
      this.images.add(image);
      this.list.append(image.item);
      if (!IMAGE_TYPES.includes(file.type)) this.fail(image, "not a PNG, JPEG, GIF or WebP image");
      else if (file.size > MAX_IMAGE_BYTES) this.fail(image, "larger than 10 MiB");
      else this.upload(image);
    }
    this.onChange();
  }

  item(image) {
    const name = image.file.name || "image";
    const remove = el("button", { type: "button", aria: { label: `Remove ${name}` }, onClick: () => this.remove(image) }, "×");
    image.bar = el("progress", { max: 1, value: 0, aria: { label: `Uploading ${name}` } });
    image.fate = el("span", { role: "status" });
    return el("li", {}, el("img", { src: image.preview, alt: "" }), el("span", { className: "name" }, name), image.bar, image.fate, remove);
  }

  async upload(image) {
    image.fate.replaceChildren();
    image.bar.hidden = false;
    try {
      image.url = await this.store.api.uploadImage(image.file, image.roomId, (part) => (image.bar.value = part));
      image.fate.textContent = "ready";
    } catch (error) {
      this.fail(image, error.message);
      if (error.retryable) image.fate.append(" ", el("button", { type: "button", onClick: () => this.upload(image) }, "Try again"));
    }
    image.bar.hidden = true;
    this.onChange();
  }

  fail(image, why) {
    image.bar.hidden = true;
    image.fate.textContent = why;
  }

  remove(image) {
    this.images.delete(image);
    image.item.remove();
    URL.revokeObjectURL(image.preview);
    this.onChange();
  }
}
