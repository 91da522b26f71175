// The browser's storage. Where it is full or forbidden, what would be kept is in memory only.

const attempt = (work, otherwise) => {
  try {
    return work();
  } catch (error) {
    console.warn("the browser keeps nothing:", error.message);
    return otherwise;
  }
};

export const remember = (key, text) => attempt(() => localStorage.setItem(key, text));
export const remembered = (key) => attempt(() => localStorage.getItem(key), null);
export const forget = (key) => attempt(() => localStorage.removeItem(key));
export const keys = (prefix) => attempt(() => Object.keys(localStorage), []).filter((key) => key.startsWith(prefix));
