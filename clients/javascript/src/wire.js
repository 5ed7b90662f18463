// Values as programs have them, and as they are on the wire: amounts are bigints here and decimal strings there, and
// what a message leaves out has its default here.

import { COMMANDS, SHAPES } from "./methods.js";

/**
 * What is sent for these params.
 *
 * @param {string} kind a shape of the contract
 * @param {any} value
 * @param {string} [place]
 * @returns {any}
 */
export function encode(kind, value, place = "") {
  if (value === null || value === undefined || kind === "") return value;
  if (kind === "bigint") return amountText(value, place);
  if (kind.endsWith("[]")) {
    if (!Array.isArray(value)) return value;
    return value.map((item, index) => encode(kind.slice(0, -2), item, `${place}[${index}]`));
  }
  if (typeof value !== "object") return value;
  if (kind.endsWith("{}")) {
    const pairs = Object.entries(value);
    return Object.fromEntries(pairs.map(([name, item]) => [name, encode(kind.slice(0, -2), item, `${place}.${name}`)]));
  }
  const shape = shapeOf(kind, value);
  if (shape === undefined) return value;
  const made = { ...value };
  for (const [field, [inner]] of Object.entries(shape)) {
    if (inner && made[field] !== undefined) made[field] = encode(inner, made[field], `${place}${place && "."}${field}`);
  }
  return made;
}

/**
 * What was received, in place.
 *
 * @param {string} kind a shape of the contract
 * @param {any} value
 * @returns {any}
 */
export function decode(kind, value) {
  if (value === null || value === undefined || kind === "") return value;
  if (kind === "bigint") return BigInt(value);
  if (kind.endsWith("[]") || kind.endsWith("{}")) {
    for (const name of Object.keys(value)) value[name] = decode(kind.slice(0, -2), value[name]);
    return value;
  }
  const shape = shapeOf(kind, value);
  if (shape === undefined) return value;
  for (const [field, [inner, ...defaults]] of Object.entries(shape)) {
    if (field in value) value[field] = decode(inner, value[field]);
    else if (defaults.length > 0) value[field] = decode(inner, structuredClone(defaults[0]));
  }
  return value;
}

/**
 * @param {string} kind
 * @param {any} value
 */
function shapeOf(kind, value) {
  const byMethod = COMMANDS[kind];
  const name = byMethod === undefined ? kind : byMethod[value.method];
  return name === undefined ? undefined : SHAPES[name];
}

/**
 * @param {unknown} value
 * @param {string} place
 */
function amountText(value, place) {
  if (typeof value === "bigint") return value.toString();
  const shown = typeof value === "number" && Number.isSafeInteger(value) ? `${value}n` : "1250n";
  throw new TypeError(
    `${place} is a ${typeof value}; an amount is a bigint of smallest units: write ${shown}, or units("12.50", 2)`,
  );
}
