// The errors of a call.  Only OutcomeUnknown leaves open whether money moved.

/** @typedef {import("./methods.js").Reason} Reason */
/** @typedef {import("./methods.js").Facts} Facts */

/** What this library throws by itself. */
export class ClientError extends Error {
  /**
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The daemon could not be reached, or did not answer in time; no command was applied by this call. */
export class NotReachable extends ClientError {}

/** The given address is not a daemon's address; nothing was tried. */
export class NotAnAddress extends NotReachable {}

/** The daemon closed the connection with a code that means not to reconnect. */
export class ClosedForGood extends NotReachable {
  /**
   * @param {number} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(`the daemon closed the connection for good: ${code} ${reason}`.trimEnd());
    this.code = code;
  }
}

/** The daemon does not accept the token, or none was given. */
export class AuthenticationFailed extends ClientError {}

/** The daemon's answer has a form that this version of the library does not know.  A command was applied. */
export class UnreadableAnswer extends ClientError {}

/** Events were missing, and were missing again after the stream was resumed from its cursor. */
export class StreamBroken extends ClientError {}

/**
 * A command was sent and its answer never came: it may or may not have been applied.
 *
 * To send it again with the same command id and the same content is always safe, and reveals the outcome.
 */
export class OutcomeUnknown extends ClientError {
  /**
   * @param {string} commandId
   * @param {string} method
   * @param {{ cause?: unknown }} [options]
   */
  constructor(commandId, method, options) {
    super(
      `${method} was sent but not answered: it may or may not have been applied; ` +
        `to find out, send it again with the same command id ${JSON.stringify(commandId)}`,
      options,
    );
    this.commandId = commandId;
    this.method = method;
  }
}

/** The daemon answered with an error. */
export class RequestFailed extends ClientError {
  /**
   * @param {Failure} failure
   */
  constructor({ reason, code, message, outcome, retry, facts, commandId }) {
    super(message);
    /** The stable word for the reason; a later daemon may have words that this version does not know. */
    this.reason = reason;
    this.code = code;
    /** What became of the command. */
    this.outcome = outcome;
    /** The way in which the request may be repeated. */
    this.retry = retry;
    /** What explains the error; amounts are smallest units. */
    this.facts = facts;
    /** The id of the command, if the request was one. */
    this.commandId = commandId;
  }

  /** The delay that the daemon asks for in milliseconds; 0 if it asks for none. */
  get retryAfterMs() {
    const asked = this.facts.retry_after_ms;
    return typeof asked === "number" && asked > 0 ? asked : 0;
  }
}

/** A command was decided and refused.  Sent again with the same id, it always gets the same answer. */
export class Refused extends RequestFailed {}

/**
 * @typedef {object} Failure
 * @property {Reason} reason
 * @property {number} code
 * @property {string} message
 * @property {"applied" | "not_applied" | "unknown"} outcome
 * @property {"never" | "same_command_id" | "new_command_id"} retry
 * @property {Facts} facts
 * @property {string | undefined} commandId
 */

const FIRST_REFUSAL_CODE = 3001;

/**
 * The error for a JSON-RPC error object.
 *
 * @param {number} code
 * @param {string} message
 * @param {Record<string, any>} data
 * @param {string | undefined} commandId
 */
export function failureOf(code, message, data, commandId) {
  const { reason, outcome, retry, ...facts } = data;
  const failure = {
    reason: typeof reason === "string" ? reason : `code_${code}`,
    code,
    message,
    outcome: outcome === "applied" || outcome === "not_applied" ? outcome : /** @type {const} */ ("unknown"),
    retry: retry === "same_command_id" || retry === "new_command_id" ? retry : /** @type {const} */ ("never"),
    facts,
    commandId,
  };
  return code >= FIRST_REFUSAL_CODE ? new Refused(failure) : new RequestFailed(failure);
}
