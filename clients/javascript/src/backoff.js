// The decision to reconnect after a lost connection, and when, or to stop: exponential backoff with full jitter, so that
// few clients of a restarting daemon come back at the same moment.

import { AuthenticationFailed, ClosedForGood } from "./errors.js";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;
const RESTART_DELAY_MS = 500;

export const ABNORMAL_CLOSURE = 1006;
const RESTART = 1012;
const AUTHENTICATION_CODES = [4401, 4408];

/**
 * The end of a connection, or of an attempt at one.
 *
 * @typedef {{ code: number, reason: string }} Lost
 */

export class Backoff {
  #failures = 0;
  #random;

  /** @param {() => number} random */
  constructor(random) {
    this.#random = random;
  }

  /** Note that a hello was received: only this proves that the daemon serves. */
  greeted() {
    this.#failures = 0;
  }

  /**
   * A time up to a fifth shorter or longer, so that clients that start together do not continue in lockstep.
   *
   * @param {number} ms
   */
  spread(ms) {
    return ms * (0.8 + 0.4 * this.#random());
  }

  /**
   * Milliseconds until the next attempt, or the error with which to stop.
   *
   * @param {Lost} lost
   */
  after(lost) {
    const final = finalError(lost);
    if (final !== null) return final;
    const isRestart = lost.code === RESTART && this.#failures === 0;
    const bound = isRestart ? RESTART_DELAY_MS : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#failures, 32));
    this.#failures += 1;
    return this.#random() * bound;
  }
}

/**
 * The error of a connection that was closed for good; null if reconnecting is worthwhile.
 *
 * @param {Lost} lost
 */
export function finalError({ code, reason }) {
  if (code < 4400 || code >= 4500) return null;
  if (AUTHENTICATION_CODES.includes(code)) {
    return new AuthenticationFailed(reason || "the daemon does not accept the token");
  }
  return new ClosedForGood(code, reason);
}
