// Amounts: a bigint is a number of smallest units, and a string is in the main unit, as people read and write it.
//
//     units("12.50", 2)       // 1250n
//     mainUnits(1250n, 2)     // "12.50"

const MAIN_UNIT = /^(-?)([0-9]{1,200})(?:\.([0-9]{1,200}))?$/;
const LARGEST = 10n ** 36n - 1n;

/**
 * An amount that a person wrote in the main unit, in smallest units: exact, or an error.
 *
 * @param {string} text such as "12.50"
 * @param {number} scale the decimal places of the asset's main unit
 * @returns {bigint}
 */
export function units(text, scale) {
  if (typeof text !== "string") {
    throw new TypeError(`an amount in the main unit is a string such as "12.50", not a ${typeof text}`);
  }
  const match = MAIN_UNIT.exec(text.trim());
  if (match === null) {
    throw new RangeError(`${JSON.stringify(text.slice(0, 60))} is not an amount; write it like ${example(scale)}`);
  }
  const [, sign, whole = "", written = ""] = match;
  const fraction = written.replace(/0+$/, "");
  if (fraction.length > scale) {
    throw new RangeError(`${text.slice(0, 60)} is finer than the smallest unit: at most ${scale} decimal places`);
  }
  const amount = BigInt(whole + fraction.padEnd(scale, "0"));
  if (amount > LARGEST) {
    throw new RangeError(`${text.slice(0, 60)} is too large; the largest amount is 10^36 - 1 smallest units`);
  }
  return sign ? -amount : amount;
}

/**
 * Smallest units in the main unit, with all its decimal places.
 *
 * @param {bigint} amount
 * @param {number} scale the decimal places of the asset's main unit
 * @returns {string}
 */
export function mainUnits(amount, scale) {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return `${amount < 0n ? "-" : ""}${whole}${scale > 0 ? `.${digits.slice(-scale)}` : ""}`;
}

/** @param {number} scale */
function example(scale) {
  return scale > 0 ? `12.${"5".padEnd(Math.min(scale, 2), "0")}` : "12";
}
