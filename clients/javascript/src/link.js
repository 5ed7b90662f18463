// Keeps a client connected: one websocket after the other.  The conversation and the backoff decide; this module owns
// the sockets and the timers.
//
// A browser cannot send a websocket's ping, so a silent daemon is asked with session.ping: any message is a sign of life.

import { ABNORMAL_CLOSURE, finalError } from "./backoff.js";
import { AuthenticationFailed, ClientError, ClosedForGood, NotAnAddress, NotReachable } from "./errors.js";
import { bearerSubprotocol } from "./ids.js";

/** @typedef {import("./backoff.js").Backoff} Backoff */
/** @typedef {import("./backoff.js").Lost} Lost */
/** @typedef {import("./conversation.js").Conversation} Conversation */

/**
 * What is used of a WebSocket: a browser's, Node's, or that of the package `ws`.
 *
 * @typedef {new (url: string, protocols: string[], options?: object) => WebSocket} SocketClass
 */

const SUBPROTOCOL = "walletd.v1";
const PING = JSON.stringify({ jsonrpc: "2.0", id: "ping", method: "session.ping", params: {} });

/** The silence after which the daemon is pinged; after the same time again the connection counts as dead. */
const SILENCE_MS = 20_000;
const MOST_PATIENCE_MS = 5000;
const LEAST_PATIENCE_MS = 1000;
const CLOSE_MS = 1000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const OPEN = 1;

/** Enough for the largest entry that an earlier version can have journaled. */
const MAX_MESSAGE_BYTES = 1024 ** 3;

export class Link {
  /** @type {WebSocket | undefined} */
  #socket = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #due = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watch = undefined;
  /** @type {() => void} */
  #interrupt = () => {};
  #isFlushing = false;
  #isSilent = false;
  #quietSince = 0;
  #conversation;
  #backoff;
  #options;

  /**
   * @param {Conversation} conversation
   * @param {Backoff} backoff
   * @param {object} options
   * @param {string} options.url
   * @param {string | undefined} options.token
   * @param {number} options.openMs
   * @param {SocketClass} options.socketClass
   * @param {(state: "connected" | "reconnecting" | "closed") => void} options.onState
   */
  constructor(conversation, backoff, options) {
    this.#conversation = conversation;
    this.#backoff = backoff;
    this.#options = options;
  }

  /** The first connection, up to and including the daemon's hello; from then on it is kept. */
  async open() {
    void this.#keep(await this.#attempt(this.#options.openMs));
  }

  /** Close the connection for good. */
  async close() {
    this.#interrupt();
    const socket = this.#socket;
    if (socket === undefined) return;
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    socket.close(1000);
    await Promise.race([closed, pause(CLOSE_MS).done]);
    drop(socket);
  }

  /** Note that the conversation may have something to send: everything begun in this turn goes out together. */
  wake() {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush() {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState !== OPEN) return;
    const wasAwaited = this.#conversation.isAwaited;
    const frames = this.#conversation.outgoing(performance.now());
    for (const frame of frames) socket.send(frame);
    if (frames.length > 0 && !wasAwaited) {
      if (!this.#isSilent) this.#quietSince = performance.now();
      this.#arm();
    }
    clearTimeout(this.#due);
    const wait = this.#conversation.nextDue - performance.now();
    if (wait < Infinity) this.#due = setTimeout(() => this.#flush(), Math.min(MAX_TIMEOUT_MS, Math.max(0, wait)));
  }

  /**
   * One connection: its promise is fulfilled with the promise of its end, once the daemon has said hello and knows who
   * is there.
   *
   * @param {number} ms
   * @returns {Promise<{ over: Promise<Lost> }>}
   */
  #attempt(ms) {
    const { url, token, socketClass } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = opened(url, token, socketClass);
      let said = "";
      let isOver = false;
      let isOpened = false;
      /** @type {(lost: Lost) => void} */
      let end = () => {};
      /** @type {Promise<Lost>} */
      const over = new Promise((settle) => (end = settle));
      /** @param {Lost} lost */
      const lose = (lost, error = finalError(lost) ?? hungUp(url, lost, said)) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(patience);
        if (this.#socket === socket) this.#socket = undefined;
        clearTimeout(this.#watch);
        clearTimeout(this.#due);
        drop(socket);
        this.#conversation.lost();
        reject(this.#conversation.stopped ?? error);
        end(lost);
      };
      const late = new NotReachable(`${url} sent no hello within ${ms / 1000} s`);
      const patience = setTimeout(() => lose({ code: ABNORMAL_CLOSURE, reason: "" }, late), ms);
      this.#interrupt = () => {
        if (!isOpened) lose({ code: ABNORMAL_CLOSURE, reason: "" }, late);
      };
      this.#socket = socket;
      socket.addEventListener("message", ({ data }) => {
        if (isOver) return;
        this.#isSilent = false;
        this.#quietSince = performance.now();
        this.#conversation.receive(data, performance.now());
        if (this.#conversation.isGreeted) {
          isOpened = true;
          clearTimeout(patience);
          this.#backoff.greeted();
          resolve({ over });
        } else if (this.#conversation.stopped) {
          lose({ code: ABNORMAL_CLOSURE, reason: "" });
        }
        this.wake();
      });
      socket.addEventListener("error", (event) => {
        said = /** @type {{ message?: string }} */ (event).message || said;
      });
      socket.addEventListener("close", ({ code, reason }) => lose({ code, reason: String(reason) }));
      this.#lose = (reason) => lose({ code: ABNORMAL_CLOSURE, reason });
    });
  }

  /** @type {(reason: string) => void} */
  #lose = () => {};

  /**
   * Serve this connection and those that follow it.  Returns once the client has stopped for good.
   *
   * @param {{ over: Promise<Lost> }} connection
   */
  async #keep(connection) {
    /** @type {{ over: Promise<Lost> } | undefined} */
    let following = connection;
    while (following !== undefined) {
      this.#arm();
      this.#options.onState("connected");
      const lost = await following.over;
      if (this.#conversation.stopped) break;
      this.#options.onState("reconnecting");
      following = await this.#reopen(lost);
    }
    this.#options.onState("closed");
  }

  /**
   * @param {Lost} lost
   * @returns {Promise<{ over: Promise<Lost> } | undefined>}
   */
  async #reopen(lost) {
    for (;;) {
      const verdict = this.#backoff.after(lost);
      if (verdict instanceof ClientError) {
        this.#conversation.stop(verdict);
        return undefined;
      }
      const waiting = pause(verdict);
      this.#interrupt = waiting.end;
      await waiting.done;
      if (this.#conversation.stopped) return undefined;
      try {
        return await this.#attempt(Math.min(this.#options.openMs, Math.max(2000, this.#options.openMs / 3)));
      } catch (error) {
        if (this.#conversation.stopped) return undefined;
        if (error instanceof AuthenticationFailed || error instanceof ClosedForGood) {
          this.#conversation.stop(error);
          return undefined;
        }
        lost = { code: ABNORMAL_CLOSURE, reason: "" };
      }
    }
  }

  /** Wake up when the daemon has been silent for too long. */
  #arm() {
    clearTimeout(this.#watch);
    const patience = Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, this.#options.openMs / 6));
    const limit = this.#conversation.isAwaited ? this.#backoff.spread(patience) : SILENCE_MS;
    this.#watch = setTimeout(() => this.#listen(limit), Math.max(0, this.#quietSince + limit - performance.now()));
  }

  /** @param {number} limit */
  #listen(limit) {
    if (performance.now() - this.#quietSince >= limit - 1) {
      if (this.#isSilent) {
        this.#lose("the daemon did not answer a ping");
        return;
      }
      this.#isSilent = true;
      this.#quietSince = performance.now();
      if (this.#socket?.readyState === OPEN) this.#socket.send(PING);
    }
    this.#arm();
  }
}

/**
 * @param {string} url
 * @param {string | undefined} token
 * @param {SocketClass} socketClass
 */
function opened(url, token, socketClass) {
  const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, bearerSubprotocol(token)];
  try {
    return new socketClass(url, protocols, { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  } catch (error) {
    const message = `${JSON.stringify(url)} is not a websocket address; write it like ws://127.0.0.1:7878`;
    throw new NotAnAddress(message, { cause: error });
  }
}

/**
 * @param {string} url
 * @param {Lost} lost
 * @param {string} said
 */
function hungUp(url, { code, reason }, said) {
  const why = said || `${code} ${reason}`.trimEnd();
  return new NotReachable(`cannot reach the daemon at ${url}: ${why}; is it running?`);
}

/**
 * Leave a connection without waiting for its peer.
 *
 * @param {WebSocket & { terminate?: () => void }} socket
 */
function drop(socket) {
  if (socket.terminate) socket.terminate();
  else socket.close();
}

/**
 * A wait that can be cut short.
 *
 * @param {number} ms
 */
function pause(ms) {
  let end = () => {};
  /** @type {Promise<void>} */
  const done = new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    end = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return { done, end };
}
