import assert from "node:assert/strict";
import { test } from "node:test";

import { mainUnits, newCommandId, newToken, tokenSha256, units } from "walletd-client";

import { decode, encode } from "../src/wire.js";

test("an amount in the main unit becomes smallest units, exactly", () => {
  assert.equal(units("12.50", 2), 1250n);
  assert.equal(units("-0.5", 8), -50000000n);
  assert.equal(units("12.500", 2), 1250n);
  assert.equal(units("1", 18), 10n ** 18n);
  assert.equal(units("7", 0), 7n);
});

test("smallest units become main units with all decimal places", () => {
  assert.equal(mainUnits(1250n, 2), "12.50");
  assert.equal(mainUnits(-5n, 2), "-0.05");
  assert.equal(mainUnits(7n, 0), "7");
  assert.equal(mainUnits(10n ** 30n + 1n, 18), "1000000000000.000000000000000001");
});

test("an amount that is not exact is an error", () => {
  assert.throws(() => units("12.505", 2), /finer than the smallest unit: at most 2/);
  assert.throws(() => units("1e3", 2), /is not an amount; write it like 12\.50/);
  assert.throws(() => units(12.5, 2), /a string such as "12\.50", not a number/);
  assert.throws(() => units("1".repeat(37), 0), /is too large/);
});

test("an amount is sent as a string, and only a bigint is an amount", () => {
  const posting = { from: "a", to: "b", asset: "EUR", amount: 1250n };
  const params = { postings: [posting], reference: "r" };
  assert.deepEqual(encode("PostTransferParams", params), {
    postings: [{ ...posting, amount: "1250" }],
    reference: "r",
  });
  assert.equal(posting.amount, 1250n, "the caller's own object is left alone");
  for (const amount of [1250, 12.5, "1250", "12.50"]) {
    const wrong = { postings: [{ ...posting, amount }] };
    assert.throws(() => encode("PostTransferParams", wrong), /^TypeError: postings\[0\]\.amount is a .*; an amount is a bigint/);
  }
});

test("amounts inside a batch, limits and conditions are amounts, too", () => {
  const hold = { method: "hold.place", command_id: "1", wallet: "a", asset: "EUR", amount: 5n };
  assert.equal(encode("ExecuteBatchParams", { commands: [hold] }).commands[0].amount, "5");
  const limits = { EUR: { maximum: 9n, velocity: [{ seconds: 60, amount: 3n }] }, USD: null };
  assert.deepEqual(encode("UpdateWalletParams", { limits }).limits, {
    EUR: { maximum: "9", velocity: [{ seconds: 60, amount: "3" }] },
    USD: null,
  });
  const condition = { wallet: "a", asset: "EUR", amount: "available", gte: -1n };
  assert.deepEqual(encode("VoidHoldParams", { if_balance: [condition] }).if_balance, [{ ...condition, gte: "-1" }]);
});

test("what an answer leaves out has its default", () => {
  const applied = decode("Applied", { time: "2030-01-01T00:00:00Z", balances: [{ posted: "-5", held: "0", available: null }] });
  assert.deepEqual([applied.replayed, applied.holds, applied.transfer], [false, [], null]);
  assert.deepEqual(applied.balances, [{ posted: -5n, held: 0n, available: null }]);
  applied.holds.push(1);
  assert.deepEqual(decode("Applied", { balances: [] }).holds, []);
});

test("a command of a later version stays as it came", () => {
  const entry = decode("Entry", { sequence: 1, command: { method: "loan.grant", amount: "5" } });
  assert.deepEqual(entry.command, { method: "loan.grant", amount: "5" });
  assert.equal(entry.redacted, false);
});

test("command ids begin with the time, and are never the same", () => {
  const ids = Array.from({ length: 1000 }, newCommandId);
  assert.equal(new Set(ids).size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
  assert.ok(Math.abs(Number.parseInt(ids[0].slice(0, 12), 16) - Date.now()) < 60_000);
});

test("a token cannot be guessed, and only its hash is sent", async () => {
  assert.match(newToken(), /^walletd_[\w-]{43}$/);
  assert.equal(await tokenSha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
