// Waiting, and trying again.

import { LoggedOut } from "../chat-client.js";

const LONGEST_PAUSE_MS = 20_000;

/** What could be asked or told with each message is so once in that time. */
export const EVERY_MS = 1000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Do something until it works. Whoever is logged out, or refused for good, gets the failure. */
export async function untilItWorks(work) {
  for (let pause = 500; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof LoggedOut || !error.retryable) throw error;
      await sleep(pause * (0.5 + Math.random()));
    }
  }
}
