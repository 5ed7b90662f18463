// A stream as its reader sees it: no event is missing and none comes twice, over any number of connections.
//
// A subscription lives as long as its connection; a stream outlives it.  It knows the cursor up to which it has
// received, and is resumed from there: after a reconnect, after a gap, and after its buffer was full because its reader
// was slow.

import { StreamBroken } from "./errors.js";
import { decode } from "./wire.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./errors.js").ClientError} ClientError */
/** @typedef {import("./methods.js").Cursor} Cursor */
/** @typedef {import("./methods.js").Entry} Entry */
/** @typedef {import("./methods.js").Subscribed} Subscribed */
/** @typedef {import("./methods.js").WalletView} WalletView */

/** The limit on events that wait for a slow reader; beyond it the daemon keeps them, and the stream is resumed later. */
const MAX_BUFFERED_EVENTS = 8192;

/** The number of gaps in a row, without a new event, after which the stream gives up. */
const MAX_FRUITLESS_RESUMPTIONS = 3;

/** An entry that touched a watched wallet. */
export class Event {
  #raw;
  /** @type {Entry | undefined} */
  #entry = undefined;

  /**
   * @param {number} epoch
   * @param {number} sequence
   * @param {any} raw
   */
  constructor(epoch, sequence, raw) {
    this.epoch = epoch;
    this.sequence = sequence;
    this.#raw = raw;
  }

  /**
   * The journal entry: the command and its effects, or its refusal.
   *
   * @returns {Entry}
   */
  get entry() {
    return (this.#entry ??= /** @type {Entry} */ (decode("Entry", this.#raw)));
  }
}

/** One stream, from its first subscription until it is closed or has failed. */
export class Stream {
  /** The position up to which the reader was given events. @type {Cursor | undefined} */
  cursor = undefined;
  /** The snapshot, if one was requested. @type {WalletView[]} */
  wallets = [];
  /** @type {number | undefined} */
  subscription = undefined;
  isPaused = false;
  isClosed = false;
  /** @type {ClientError | undefined} */
  error = undefined;
  /** @type {Cursor | undefined} */
  #received = undefined;
  /** @type {Event[]} */
  #buffer = [];
  #read = 0;
  #fruitless = 0;
  #watched;
  #start;
  #wake;
  #maxBuffered;

  /**
   * @param {Record<string, unknown>} watched
   * @param {Record<string, unknown>} start
   * @param {() => void} wake
   * @param {number} [maxBuffered]
   */
  constructor(watched, start, wake, maxBuffered = MAX_BUFFERED_EVENTS) {
    this.#watched = watched;
    this.#start = start;
    this.#wake = wake;
    this.#maxBuffered = maxBuffered;
  }

  /** The params of the next subscription: from the cursor on, once there is one. */
  params() {
    return { ...this.#watched, ...(this.#received ? { after: this.#received } : this.#start) };
  }

  /**
   * Note that a subscription has begun.
   *
   * @param {Subscribed} answer
   */
  subscribed(answer) {
    this.subscription = answer.subscription;
    this.isPaused = false;
    if (this.#received === undefined) {
      this.wallets = answer.wallets;
      this.#received = this.cursor = { epoch: answer.epoch, sequence: answer.from };
    }
    this.#wake();
  }

  /**
   * Accept an event of the present subscription.
   *
   * @param {{ epoch: number, sequence: number, previous_sequence: number, entry: unknown }} arrival
   * @returns {"kept" | "double" | "gap" | "full"}
   */
  take({ epoch, sequence, previous_sequence: previous, entry }) {
    const received = /** @type {Cursor} */ (this.#received);
    if (epoch === received.epoch && sequence <= received.sequence) return "double";
    if (epoch !== received.epoch || previous > received.sequence) return this.#gap(sequence, previous);
    if (this.#waiting >= this.#maxBuffered) {
      this.isPaused = true;
      return "full";
    }
    this.#received = { epoch, sequence };
    this.#fruitless = 0;
    this.#buffer.push(new Event(epoch, sequence, entry));
    this.#wake();
    return "kept";
  }

  /**
   * Note that the subscription is complete up to `head`.
   *
   * @param {number} epoch
   * @param {number} head
   */
  heartbeat(epoch, head) {
    const received = /** @type {Cursor} */ (this.#received);
    if (epoch !== received.epoch || head <= received.sequence) return;
    this.#received = { epoch, sequence: head };
    if (this.#waiting === 0) this.cursor = this.#received;
  }

  /** The next event for the reader; undefined if it has to wait.  Throws the error with which the stream ended. */
  next() {
    const event = this.#buffer[this.#read];
    if (event !== undefined) {
      this.#read += 1;
      if (this.#read === this.#buffer.length || this.#read >= this.#maxBuffered) {
        this.#buffer.splice(0, this.#read);
        this.#read = 0;
      }
      this.cursor = { epoch: event.epoch, sequence: event.sequence };
      return event;
    }
    if (this.error) throw this.error;
    return undefined;
  }

  get #waiting() {
    return this.#buffer.length - this.#read;
  }

  /** True if the first subscription was answered: there is a cursor to resume from. */
  get hasBegun() {
    return this.#received !== undefined;
  }

  /** True if it was paused and has space again. */
  get isThirsty() {
    return this.isPaused && !this.isClosed && this.#waiting <= this.#maxBuffered / 2;
  }

  /**
   * End the stream with an error, which its reader gets after the events already received.
   *
   * @param {ClientError} error
   */
  fail(error) {
    this.error ??= error;
    this.#wake();
  }

  /** Note that the reader has gone. */
  close() {
    this.isClosed = true;
    this.#wake();
  }

  /**
   * @param {number} sequence
   * @param {number} previous
   * @returns {"gap"}
   */
  #gap(sequence, previous) {
    this.#fruitless += 1;
    if (this.#fruitless > MAX_FRUITLESS_RESUMPTIONS) {
      const at = JSON.stringify(this.#received);
      const times = `resuming ${MAX_FRUITLESS_RESUMPTIONS} times`;
      this.fail(
        new StreamBroken(
          `event ${sequence} says that ${previous} came before it, which was never received after ${at}, not even after ${times}`,
        ),
      );
    }
    return "gap";
  }
}

/** The events of a subscription, in order: `for await (const event of stream)`.  Leaving the loop closes the stream. */
export class EventStream {
  #conversation;
  #stream;
  #flush;
  /** @type {(() => void)[]} */
  #readers = [];

  /**
   * @param {Conversation} conversation
   * @param {Record<string, unknown>} watched
   * @param {Record<string, unknown>} start
   * @param {() => void} flush
   */
  constructor(conversation, watched, start, flush) {
    this.#conversation = conversation;
    this.#flush = flush;
    this.#stream = conversation.openStream(watched, start, () => {
      for (const wake of this.#readers.splice(0)) wake();
    });
    flush();
  }

  /** The snapshot; empty if none was requested. */
  get wallets() {
    return this.#stream.wallets;
  }

  /** The position after the last event delivered, or at the stream's beginning: resume `after` it, in any process. */
  get cursor() {
    return /** @type {Cursor} */ (this.#stream.cursor);
  }

  /** Return once the daemon has answered.  Throws its answer if that was an error. */
  async begun() {
    while (!this.#stream.hasBegun) {
      if (this.#stream.error) throw this.#stream.error;
      await this.#news();
    }
  }

  /** End the stream; a loop that waits for an event ends. */
  close() {
    this.#conversation.closeStream(this.#stream);
    this.#flush();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Event, undefined>>} */
  async next() {
    while (!this.#stream.isClosed) {
      const event = this.#conversation.nextEvent(this.#stream);
      if (this.#stream.subscription === undefined) this.#flush();
      if (event !== undefined) return { value: event, done: false };
      await this.#news();
    }
    return { value: undefined, done: true };
  }

  /** @returns {Promise<IteratorResult<Event, undefined>>} */
  async return() {
    this.close();
    return { value: undefined, done: true };
  }

  /** @returns {Promise<void>} */
  #news() {
    return new Promise((resolve) => this.#readers.push(resolve));
  }
}
