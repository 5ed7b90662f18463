// The client without sockets, timers and clocks: requests and messages go in, frames to send and settled exchanges come
// out.  Time is passed in, in milliseconds.

import { AuthenticationFailed, failureOf, RequestFailed, UnreadableAnswer } from "./errors.js";
import { decides, Exchange, isBusy, isPassing, isTooLarge, tooLarge } from "./exchange.js";
import { Stream } from "./streams.js";
import { decode } from "./wire.js";

/** @typedef {import("./exchange.js").Request} Request */
/** @typedef {import("./errors.js").ClientError} ClientError */
/** @typedef {import("./methods.js").Hello} Hello */

const FIRST_BUSY_MS = 50;
const MAX_BUSY_MS = 5000;

export class Conversation {
  /** The `hello` of the present connection or, while disconnected, of the previous one. @type {Hello | undefined} */
  hello = undefined;
  /** True if the present connection has its hello and is authenticated; no request is sent before. */
  isGreeted = false;
  /** The error with which everything ended. @type {ClientError | undefined} */
  stopped = undefined;
  #lastId = 0;
  /** @type {Map<number, Exchange>} */
  #waiting = new Map();
  /** @type {Map<number, Exchange>} */
  #inFlight = new Map();
  /** @type {Map<Exchange, number>} */
  #delayed = new Map();
  /** @type {Set<Stream>} */
  #streams = new Set();
  /** @type {Map<number, Stream>} */
  #subscribed = new Map();
  /** @type {string | undefined} */
  #introduction = undefined;
  #random;
  #retryBusy;
  #token;

  /** @param {{ random: () => number, retryBusy?: boolean, token?: string | undefined }} options */
  constructor({ random, retryBusy = true, token }) {
    this.#random = random;
    this.#retryBusy = retryBusy;
    this.#token = token;
  }

  // --- requests ------------------------------------------------------------------------------------------------------

  /**
   * Queue a request; `settle` is called once, when it is over.
   *
   * @param {Request} request
   * @param {(exchange: Exchange) => void} settle
   */
  begin(request, settle) {
    if (this.stopped) throw this.stopped;
    const exchange = new Exchange(++this.#lastId, request, settle);
    this.#waiting.set(exchange.id, exchange);
    return exchange;
  }

  /**
   * Note that its caller has gone: it is not sent again, and a late answer is dropped.
   *
   * @param {Exchange} exchange
   */
  abandon(exchange) {
    exchange.isAbandoned = true;
    this.#waiting.delete(exchange.id);
    this.#delayed.delete(exchange);
  }

  /**
   * The frames to send now, as many as the daemon accepts unanswered.
   *
   * @param {number} now
   * @returns {string[]}
   */
  outgoing(now) {
    if (this.#introduction !== undefined) {
      const introduction = this.#introduction;
      this.#introduction = undefined;
      return [introduction];
    }
    if (!this.isGreeted || this.stopped || !this.hello) return [];
    for (const [exchange, due] of this.#delayed) {
      if (due > now) continue;
      this.#delayed.delete(exchange);
      this.#waiting.set(exchange.id, exchange);
    }
    const { max_in_flight: most, max_frame_bytes: largest } = this.hello.limits;
    const frames = [];
    for (const [id, exchange] of this.#waiting) {
      if (this.#inFlight.size >= most) break;
      this.#waiting.delete(id);
      if (isTooLarge(exchange.frame, largest)) {
        this.#settle(exchange, { error: tooLarge(exchange, largest) });
        continue;
      }
      exchange.isInFlight = true;
      this.#inFlight.set(id, exchange);
      frames.push(exchange.frame);
    }
    return frames;
  }

  /** Whether the daemon owes an answer. */
  get isAwaited() {
    return this.#inFlight.size > 0;
  }

  /** The time at which `outgoing` has something to send by itself. */
  get nextDue() {
    return Math.min(Infinity, ...this.#delayed.values());
  }

  // --- connections ---------------------------------------------------------------------------------------------------

  /** Note that the connection is gone.  Unanswered requests are first in line again, in their order. */
  lost() {
    this.isGreeted = false;
    this.#introduction = undefined;
    const unanswered = [...this.#inFlight.values()];
    const waiting = [...this.#waiting.values()];
    this.#inFlight.clear();
    this.#subscribed.clear();
    this.#waiting.clear();
    /** @type {Exchange[]} */
    const again = [];
    for (const exchange of unanswered) {
      exchange.isInFlight = false;
      exchange.inDoubt = exchange.request.changes;
      if (exchange.isAbandoned) continue;
      if (exchange.request.repeats) again.push(exchange);
      else this.#settle(exchange, { error: exchange.overdue(0) });
    }
    again.sort((one, other) => one.id - other.id);
    for (const exchange of [...again, ...waiting]) this.#waiting.set(exchange.id, exchange);
    for (const stream of this.#streams) {
      if (stream.subscription !== undefined) this.#subscribe(stream);
    }
  }

  /**
   * Stop for good: everything unfinished ends with the error, or with its outcome unknown.
   *
   * @param {ClientError} error
   */
  stop(error) {
    this.isGreeted = false;
    this.#introduction = undefined;
    this.stopped ??= error;
    const unfinished = [...this.#inFlight.values(), ...this.#waiting.values(), ...this.#delayed.keys()];
    this.#inFlight.clear();
    this.#waiting.clear();
    this.#delayed.clear();
    for (const exchange of unfinished) {
      const isUnknown = exchange.request.changes && (exchange.inDoubt || exchange.isInFlight);
      this.#settle(exchange, { error: isUnknown ? exchange.overdue(0) : error });
    }
    for (const stream of this.#streams) stream.fail(error);
    this.#streams.clear();
    this.#subscribed.clear();
  }

  // --- what the daemon says ------------------------------------------------------------------------------------------

  /**
   * Read one text message.  Messages that are unreadable or unexpected are ignored.
   *
   * @param {unknown} text
   * @param {number} now
   */
  receive(text, now) {
    const message = parsed(text);
    if (message === undefined) return;
    if (message.method !== undefined) {
      this.#notified(message.method, message.params);
      return;
    }
    const exchange = this.#inFlight.get(message.id);
    if (exchange === undefined) return;
    this.#inFlight.delete(message.id);
    exchange.isInFlight = false;
    if (message.error) this.#failed(exchange, message.error, now);
    else this.#succeeded(exchange, message.result);
  }

  /**
   * @param {Exchange} exchange
   * @param {any} result
   */
  #succeeded(exchange, result) {
    const { method, result: shape, commandId } = exchange.request;
    try {
      result = decode(shape, result);
    } catch (error) {
      const message = `${method} succeeded; its result cannot be read: ${error}`;
      this.#settle(exchange, { error: new UnreadableAnswer(message, { cause: error }) });
      return;
    }
    if (shape === "Applied") result.command_id = commandId;
    this.#settle(exchange, { result });
  }

  /**
   * @param {Exchange} exchange
   * @param {any} answer
   * @param {number} now
   */
  #failed(exchange, answer, now) {
    const data = readable("Facts", answer.data ?? {});
    const failure = failureOf(answer.code, answer.message ?? "", data, exchange.request.commandId);
    if (decides(failure)) exchange.inDoubt = false;
    else if (failure.outcome === "unknown") exchange.inDoubt = exchange.request.changes;
    exchange.lastFailure = failure;
    if (this.#retryBusy && !exchange.isAbandoned && isPassing(failure)) {
      this.#delayed.set(exchange, now + this.#busyDelay(exchange, failure));
      exchange.failures += 1;
    } else {
      this.#settle(exchange, { error: exchange.inDoubt ? exchange.overdue(0) : failure });
    }
  }

  /**
   * The requested delay and up to half as much again, so that clients told the same do not return together; longer if
   * the daemon was busy several times.
   *
   * @param {Exchange} exchange
   * @param {RequestFailed} failure
   */
  #busyDelay(exchange, failure) {
    const asked = failure.retryAfterMs;
    const spread = Math.min(MAX_BUSY_MS, FIRST_BUSY_MS * 2 ** Math.min(exchange.failures, 32));
    return asked + this.#random() * Math.max(spread, asked / 2);
  }

  /**
   * @param {Exchange} exchange
   * @param {{ result?: any, error?: Error }} outcome
   */
  #settle(exchange, { result, error }) {
    exchange.isOver = true;
    exchange.result = result;
    exchange.error = error;
    if (!exchange.isAbandoned) exchange.settle(exchange);
  }

  /**
   * @param {string} method
   * @param {any} params
   */
  #notified(method, params) {
    if (method === "stream.event") this.#arrived(params);
    else if (method === "stream.heartbeat") this.#subscribed.get(params.subscription)?.heartbeat(params.epoch, params.head);
    else if (method === "hello") this.#greeted(readable("Hello", params));
    else if (method === "lifecycle" && this.hello) this.hello = { ...this.hello, lifecycle: params.lifecycle };
  }

  /** @param {Hello} hello */
  #greeted(hello) {
    this.hello = hello;
    if (!hello.auth.required) this.isGreeted = true;
    else if (this.#token === undefined) this.stop(new AuthenticationFailed("the daemon needs a token"));
    else this.#introduce(this.#token);
  }

  /**
   * Authenticate with the first request, because something on the way removed the subprotocol that carried the token.
   *
   * @param {string} token
   */
  #introduce(token) {
    const request = {
      method: "session.authenticate",
      params: { token },
      result: "",
      changes: false,
      repeats: false,
    };
    const exchange = new Exchange(++this.#lastId, request, ({ error }) => {
      if (error === undefined) this.isGreeted = true;
      else if (error instanceof RequestFailed && !isBusy(error)) {
        this.stop(new AuthenticationFailed(`the daemon does not accept the token: ${error.message}`));
      }
    });
    exchange.isInFlight = true;
    this.#inFlight.set(exchange.id, exchange);
    this.#introduction = exchange.frame;
  }

  // --- streams -------------------------------------------------------------------------------------------------------

  /**
   * Begin a stream; `wake` is called whenever there may be news for its reader.
   *
   * @param {Record<string, unknown>} watched
   * @param {Record<string, unknown>} start
   * @param {() => void} wake
   */
  openStream(watched, start, wake) {
    if (this.stopped) throw this.stopped;
    const stream = new Stream(watched, start, wake);
    this.#streams.add(stream);
    this.#subscribe(stream);
    return stream;
  }

  /**
   * The next event, or undefined if the reader has to wait.  A stream that was full is resumed in time.
   *
   * @param {Stream} stream
   */
  nextEvent(stream) {
    const event = stream.next();
    if (stream.isThirsty) this.#subscribe(stream);
    return event;
  }

  /**
   * Note that its reader has gone.
   *
   * @param {Stream} stream
   */
  closeStream(stream) {
    stream.close();
    this.#streams.delete(stream);
    this.#unsubscribe(stream);
  }

  /** @param {Stream} stream */
  #subscribe(stream) {
    stream.subscription = undefined;
    stream.isPaused = false;
    const params = stream.params();
    const request = { method: "stream.subscribe", params, result: "Subscribed", changes: false, repeats: true };
    this.begin(request, ({ result, error }) => {
      if (error !== undefined) {
        stream.fail(/** @type {ClientError} */ (error));
        this.#streams.delete(stream);
        return;
      }
      stream.subscribed(result);
      this.#subscribed.set(result.subscription, stream);
      if (stream.isClosed) this.#unsubscribe(stream);
    });
  }

  /** @param {Stream} stream */
  #unsubscribe(stream) {
    const { subscription } = stream;
    stream.subscription = undefined;
    if (subscription === undefined || !this.#subscribed.delete(subscription) || this.stopped) return;
    const params = { subscription };
    const request = { method: "stream.unsubscribe", params, result: "", changes: false, repeats: false };
    this.begin(request, () => {});
  }

  /** @param {any} arrival */
  #arrived(arrival) {
    const stream = this.#subscribed.get(arrival.subscription);
    if (stream === undefined) return;
    const verdict = stream.take(arrival);
    if (verdict === "full" || verdict === "gap") this.#unsubscribe(stream);
    if (verdict === "gap" && stream.error === undefined) this.#subscribe(stream);
  }
}

/**
 * @param {unknown} text
 * @returns {any}
 */
function parsed(text) {
  try {
    const message = JSON.parse(String(text));
    return typeof message === "object" && message !== null ? message : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The value as programs have it or, if a later daemon gave it another form, as it came.
 *
 * @param {string} kind
 * @param {any} value
 */
function readable(kind, value) {
  try {
    return decode(kind, value);
  } catch {
    return value;
  }
}
