// An exchange: a request and its fate, over any number of connections.  Here is decided whether a caller may trust an
// error: was the command decided, may it have been applied, is another attempt worthwhile.

import { NotReachable, OutcomeUnknown, Refused, RequestFailed } from "./errors.js";

/**
 * A request that can be sent any number of times, on any connection.
 *
 * @typedef {object} Request
 * @property {string} method
 * @property {any} params as they are sent
 * @property {string} result the shape of the result
 * @property {string} [commandId]
 * @property {boolean} changes whether it can have changed something; false for a read or a dry run
 * @property {boolean} repeats whether it may be sent again on another connection
 */

const BUSY = ["draining", "overloaded", "rate_limited", "unavailable", "quota_exceeded"];

export class Exchange {
  isInFlight = false;
  /** True if it was sent once and neither decided nor declined: it may have been applied. */
  inDoubt = false;
  isAbandoned = false;
  isOver = false;
  failures = 0;
  /** @type {RequestFailed | undefined} */
  lastFailure = undefined;
  /** @type {any} */
  result = undefined;
  /** @type {Error | undefined} */
  error = undefined;

  /**
   * @param {number} id
   * @param {Request} request
   * @param {(exchange: Exchange) => void} settle
   */
  constructor(id, request, settle) {
    this.id = id;
    this.request = request;
    this.settle = settle;
    this.frame = JSON.stringify({ jsonrpc: "2.0", id, method: request.method, params: request.params });
  }

  /**
   * The error for a caller that stops waiting now.
   *
   * @param {number} seconds
   */
  overdue(seconds) {
    const { method, commandId, changes } = this.request;
    if (changes && (this.inDoubt || this.isInFlight)) {
      return new OutcomeUnknown(commandId ?? "", method, { cause: this.lastFailure });
    }
    return this.lastFailure ?? new NotReachable(`${method} was not answered within ${seconds} s; nothing was applied`);
  }
}

/** @param {RequestFailed} failure */
export function isBusy(failure) {
  return BUSY.includes(failure.reason);
}

/**
 * Whether the answer settles the command's outcome, however often it was sent before.
 *
 * @param {RequestFailed} failure
 */
export function decides(failure) {
  if (failure.code < 0) return failure.reason !== "internal_error";
  return failure instanceof Refused;
}

/**
 * Whether the same request may succeed soon: the daemon was busy, or does not know the outcome.
 *
 * @param {RequestFailed} failure
 */
export function isPassing(failure) {
  if (isBusy(failure)) return true;
  return failure.commandId !== undefined && failure.outcome === "unknown" && failure.retry === "same_command_id";
}

/**
 * The number of bytes of a text on the wire.
 *
 * @param {string} frame
 * @param {number} limit above which it matters
 */
export function isTooLarge(frame, limit) {
  return frame.length > limit || (frame.length * 3 > limit && new TextEncoder().encode(frame).length > limit);
}

/**
 * The failure of a request that was never sent, because the daemon would close the connection over it.
 *
 * @param {Exchange} exchange
 * @param {number} limit
 */
export function tooLarge(exchange, limit) {
  return new RequestFailed({
    reason: "invalid_request",
    code: -32600,
    message: `the request is larger than the ${limit} bytes that the daemon accepts; it was not sent`,
    outcome: "not_applied",
    retry: "never",
    facts: { limit },
    commandId: exchange.request.commandId,
  });
}
