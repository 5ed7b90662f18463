// Ids and tokens.

/** @param {number} count */
function randomBytes(count) {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * A command id that was never used before: a UUID of version 7 (RFC 9562).  It begins with the time, so that the daemon
 * finds ids of about the same time close together.
 */
export function newCommandId() {
  const bytes = randomBytes(16);
  const view = new DataView(bytes.buffer);
  const milliseconds = Date.now();
  view.setUint16(0, Math.floor(milliseconds / 2 ** 32));
  view.setUint32(2, milliseconds % 2 ** 32);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return hex(bytes);
}

/** A token that cannot be guessed: 256 random bits behind a prefix that identifies it to scanners for leaked secrets. */
export function newToken() {
  return `walletd_${base64url(randomBytes(32))}`;
}

/**
 * The hash of a token, which is all that `client.create` sends.  Browsers have it in secure contexts only.
 *
 * @param {string} token
 * @returns {Promise<string>}
 */
export async function tokenSha256(token) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))));
}

/**
 * The token as the subprotocol that carries it: browsers cannot set a header.
 *
 * @param {string} token
 */
export function bearerSubprotocol(token) {
  return `walletd.bearer.${base64url(new TextEncoder().encode(token))}`;
}
