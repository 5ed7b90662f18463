// The client.
//
// Any number of calls may be under way at the same time; they share one connection.  A lost connection is replaced, and
// unanswered requests are sent again with the same command ids.

import { mainUnits, units } from "./amounts.js";
import { Backoff } from "./backoff.js";
import { Conversation } from "./conversation.js";
import { ClientError, NotReachable, RequestFailed } from "./errors.js";
import { newCommandId } from "./ids.js";
import { Link } from "./link.js";
import { METHODS, Methods } from "./methods.js";
import { EventStream } from "./streams.js";
import { encode } from "./wire.js";

/** @typedef {import("./link.js").SocketClass} SocketClass */
/** @typedef {import("./methods.js").Applied} Applied */
/** @typedef {import("./methods.js").CallOptions} CallOptions */
/** @typedef {import("./methods.js").Cursor} Cursor */
/** @typedef {import("./methods.js").EntryView} EntryView */
/** @typedef {import("./methods.js").GetStatement} GetStatement */
/** @typedef {import("./methods.js").HoldView} HoldView */
/** @typedef {import("./methods.js").ListHolds} ListHolds */
/** @typedef {import("./methods.js").ListWallets} ListWallets */
/** @typedef {import("./methods.js").PostTransferParams} PostTransferParams */
/** @typedef {import("./methods.js").StatementLine} StatementLine */
/** @typedef {import("./methods.js").WalletView} WalletView */

/** @typedef {"connected" | "reconnecting" | "closed"} State */

/**
 * @typedef {object} ConnectOptions
 * @property {string} [token]
 * @property {number} [deadlineSeconds] bounds each call, reconnections included: 30
 * @property {boolean} [retryBusy] whether a request that the daemon is too busy for is sent again: true
 * @property {(state: State) => void} [onState] is told when the connection is lost, restored or closed for good
 * @property {SocketClass} [WebSocket] the class to use instead of the platform's
 */

/** @typedef {{ from: string, to: string, amount: bigint, asset: string }} Movement */
/** @typedef {Movement & Omit<PostTransferParams, "postings">} Payment */

/**
 * @typedef {object} Watched
 * @property {readonly string[]} [wallets]
 * @property {string} [prefix]
 * @property {boolean} [all]
 * @property {Cursor | 0} [after] resumes from a cursor; 0 is everything
 * @property {boolean} [snapshot] starts with the present balances
 */

const PAGE = 500;

/**
 * A client that stays connected until it is closed.
 *
 * Throws AuthenticationFailed or NotReachable if the first connection cannot be made.
 *
 * @param {string} url such as ws://127.0.0.1:7878
 * @param {ConnectOptions} [options]
 * @returns {Promise<Client>}
 */
export async function connect(url, options = {}) {
  const { token, deadlineSeconds = 30, retryBusy = true, onState = () => {} } = options;
  const socketClass = options.WebSocket ?? (await platformSocket());
  const conversation = new Conversation({ random: Math.random, retryBusy, token });
  const backoff = new Backoff(Math.random);
  const link = new Link(conversation, backoff, { url, token, openMs: deadlineSeconds * 1000, socketClass, onState });
  await link.open();
  return new Client(conversation, link, deadlineSeconds);
}

/**
 * One daemon.  Each method of the protocol is a function: `client.transfer.post({...})`.
 *
 * A call throws Refused for a command that was decided and refused, RequestFailed for any other error that the daemon
 * answers with, OutcomeUnknown for a command that was sent and not answered before the deadline, NotReachable for
 * anything else that was not answered, and AuthenticationFailed once the daemon no longer accepts the token.
 */
export class Client extends Methods {
  #conversation;
  #link;
  #deadlineSeconds;
  /** @type {Map<string, number>} */
  #scales = new Map();

  /**
   * @param {Conversation} conversation
   * @param {Link} link
   * @param {number} deadlineSeconds
   */
  constructor(conversation, link, deadlineSeconds) {
    super((method, params, options) => self.call(method, params, options));
    const self = this;
    this.#conversation = conversation;
    this.#link = link;
    this.#deadlineSeconds = deadlineSeconds;
  }

  /** The `hello` of the current connection or, while disconnected, of the previous one. */
  get hello() {
    return /** @type {import("./methods.js").Hello} */ (this.#conversation.hello);
  }

  /**
   * End the client: calls that wait throw NotReachable, or OutcomeUnknown for a command that was sent.
   *
   * @returns {Promise<void>}
   */
  async close() {
    this.#conversation.stop(new NotReachable("the client was closed"));
    await this.#link.close();
  }

  /**
   * Any method by its name.  A command without an id gets one.
   *
   * @param {string} method
   * @param {any} [params]
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async call(method, params = {}, options = {}) {
    const known = METHODS[method];
    let encoded = encode(known?.params ?? "", params);
    let commandId = known && !known.isCommand ? undefined : params.command_id;
    if (known?.isCommand && commandId === undefined) {
      commandId = newCommandId();
      encoded = { command_id: commandId, ...encoded };
    }
    const isRead = known !== undefined && !known.isCommand;
    return this.#ask(
      {
        method,
        params: encoded,
        result: known?.result ?? "",
        commandId,
        changes: !isRead && !params.dry_run,
        repeats: isRead || commandId !== undefined,
      },
      options,
    );
  }

  /**
   * @param {import("./exchange.js").Request} request
   * @param {CallOptions} options
   * @returns {Promise<any>}
   */
  #ask(request, { deadlineSeconds = this.#deadlineSeconds, signal }) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const exchange = this.#conversation.begin(request, ({ result, error }) => {
        leave();
        if (error === undefined) resolve(result);
        else reject(error);
      });
      /** @param {unknown} error */
      const giveUp = (error) => {
        leave();
        this.#conversation.abandon(exchange);
        reject(error);
      };
      const aborted = () => giveUp(signal?.reason);
      const timer = setTimeout(() => giveUp(exchange.overdue(deadlineSeconds)), deadlineSeconds * 1000);
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
      };
      signal?.addEventListener("abort", aborted);
      this.#link.wake();
    });
  }

  // --- money ---------------------------------------------------------------------------------------------------------

  /**
   * Move an amount from one wallet to another; `client.transfer.post` moves along several postings at once.
   *
   * @param {Payment} payment
   * @param {CallOptions} [options]
   * @returns {Promise<Applied>}
   */
  pay({ from, to, amount, asset, ...more }, options) {
    return this.transfer.post({ postings: [{ from, to, amount, asset }], ...more }, options);
  }

  /**
   * The scale of an asset: the decimal places of its main unit.  Asked for once, because it never changes.
   *
   * @param {string} asset
   * @returns {Promise<number>}
   */
  async scale(asset) {
    const known = this.#scales.get(asset);
    if (known !== undefined) return known;
    /** @type {string | undefined} */
    let after = undefined;
    do {
      /** @type {import("./methods.js").Assets} */
      const page = await this.asset.list(after === undefined ? {} : { after });
      for (const record of page.assets) this.#scales.set(record.asset, record.scale);
      after = page.next ?? undefined;
    } while (after !== undefined);
    const scale = this.#scales.get(asset);
    if (scale === undefined) throw noSuchAsset(asset);
    return scale;
  }

  /**
   * An amount that a person wrote in the asset's main unit, in smallest units: "12.50" of EUR/2 is 1250n.
   *
   * @param {string} text
   * @param {string} asset
   * @returns {Promise<bigint>}
   */
  async units(text, asset) {
    return units(text, await this.scale(asset));
  }

  /**
   * Smallest units, as in every result, in the asset's main unit: 1250n of EUR/2 is "12.50".
   *
   * @param {bigint} amount
   * @param {string} asset
   * @returns {Promise<string>}
   */
  async mainUnits(amount, asset) {
    return mainUnits(amount, await this.scale(asset));
  }

  // --- lists ---------------------------------------------------------------------------------------------------------

  /**
   * A wallet's movements, line by line: `for await (const line of client.statementLines({ wallet: "alice" }))`.
   *
   * @param {GetStatement} params
   * @returns {AsyncGenerator<StatementLine, void, undefined>}
   */
  async *statementLines(params) {
    for (let cursor = params.cursor; ; ) {
      const page = await this.statement.get({ limit: PAGE, ...params, ...(cursor ? { cursor } : {}) });
      yield* page.lines;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  /**
   * The wallets by name.
   *
   * @param {ListWallets} [params]
   * @returns {AsyncGenerator<WalletView, void, undefined>}
   */
  async *wallets(params = {}) {
    for (let after = params.after; ; ) {
      const page = await this.wallet.list({ limit: PAGE, ...params, ...(after ? { after } : {}) });
      yield* page.wallets;
      if (page.next === null) return;
      after = page.next;
    }
  }

  /**
   * The open holds of a wallet in order of placing, or all that it ever had.
   *
   * @param {ListHolds} params
   * @returns {AsyncGenerator<HoldView, void, undefined>}
   */
  async *holds(params) {
    for (let after = params.after; ; ) {
      const page = await this.hold.list({ limit: PAGE, ...params, ...(after ? { after } : {}) });
      yield* page.holds;
      if (page.next === null) return;
      after = page.next;
    }
  }

  // --- streams -------------------------------------------------------------------------------------------------------

  /**
   * Watch wallets live: exactly one of `wallets`, `prefix` and `all`.  The stream outlives connections without a gap or
   * a duplicate.
   *
   * @param {Watched} watched
   * @returns {Promise<EventStream>}
   */
  async subscribe({ after, snapshot, ...watched }) {
    const start = { ...(after === undefined ? {} : { after }), ...(snapshot ? { snapshot } : {}) };
    const stream = new EventStream(this.#conversation, watched, start, () => this.#link.wake());
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer = undefined;
    const late = new Promise((_, reject) => {
      const error = new NotReachable(`stream.subscribe was not answered within ${this.#deadlineSeconds} s`);
      timer = setTimeout(() => reject(error), this.#deadlineSeconds * 1000);
    });
    try {
      await Promise.race([stream.begun(), late]);
    } catch (error) {
      stream.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return stream;
  }
}

/** @param {string} asset */
function noSuchAsset(asset) {
  return new RequestFailed({
    reason: "asset_not_found",
    code: 0,
    message: `there is no asset ${asset}`,
    outcome: "not_applied",
    retry: "never",
    facts: { asset },
    commandId: undefined,
  });
}

/** @returns {Promise<SocketClass>} */
async function platformSocket() {
  if (typeof WebSocket !== "undefined") return WebSocket;
  try {
    return (await import(/** @type {string} */ ("ws"))).WebSocket;
  } catch (error) {
    throw new ClientError("this version of Node has no WebSocket: npm install ws, or use Node 22", { cause: error });
  }
}
