// The client and a real daemon, which is killed meanwhile.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { after, before, test } from "node:test";

import {
  AuthenticationFailed,
  connect,
  newToken,
  NotAnAddress,
  NotReachable,
  OutcomeUnknown,
  Refused,
  RequestFailed,
  tokenSha256,
} from "walletd-client";

import { Daemon } from "./daemon.js";

const daemon = new Daemon();
const states = [];
/** @type {import("walletd-client").Client} */
let client;

before(async () => {
  await daemon.start();
  client = await daemon.client({ onState: (state) => states.push(state) });
  await client.asset.define({ asset: "EUR", scale: 2 });
  for (const wallet of ["alice", "bob", "carol"]) await client.wallet.open({ wallet });
  await client.pay({ from: "@external", to: "alice", amount: 100_000n, asset: "EUR" });
});

after(async () => {
  await client?.close();
  await daemon.kill();
});

async function available(wallet) {
  const { balances } = await client.balance.get({ wallet, asset: "EUR" });
  return balances[0]?.available ?? 0n;
}

test("a payment in the main unit arrives, and its repetition is the same", async () => {
  const amount = await client.units("12.50", "EUR");
  const payment = { from: "alice", to: "bob", amount, asset: "EUR", command_id: "invoice-7", reference: "dinner" };
  const [paid, again] = [await client.pay(payment), await client.pay(payment)];
  assert.deepEqual([paid.replayed, again.replayed, again.transfer], [false, true, paid.transfer]);
  assert.equal(paid.command_id, "invoice-7");
  assert.equal(await available("bob"), 1250n);
  assert.equal(await client.mainUnits(await available("bob"), "EUR"), "12.50");
});

test("a refusal is an error with its reason and its facts", async () => {
  const paying = client.pay({ from: "carol", to: "bob", amount: 500n, asset: "EUR" });
  await assert.rejects(paying, (error) => {
    assert.ok(error instanceof Refused);
    assert.equal(error.reason, "insufficient_funds");
    assert.deepEqual([error.facts.available, error.facts.required, error.facts.short_by], [0n, 500n, 500n]);
    assert.match(error.commandId, /^[0-9a-f]{32}$/);
    return true;
  });
});

test("a mistake in the params is an error that names the field", async () => {
  await assert.rejects(client.wallet.get({ wallet: "no such name" }), (error) => {
    assert.ok(error instanceof RequestFailed && !(error instanceof Refused));
    assert.deepEqual([error.reason, error.facts.field], ["invalid_params", "wallet"]);
    return true;
  });
  await assert.rejects(client.units("1", "XYZ"), { reason: "asset_not_found" });
});

test("money is held, captured in part, and the rest comes back", async () => {
  const placed = await client.hold.place({ wallet: "alice", asset: "EUR", amount: 2000n, expires_in_seconds: 3600 });
  const hold = placed.hold ?? "";
  assert.deepEqual(placed.holds.map((one) => [one.amount, one.state]), [[2000n, "open"]]);
  await client.hold.capture({ wallet: "alice", hold, parts: [{ to: "carol", amount: 1500n }], final: true });
  const { captured, reserved, state } = await client.hold.get({ wallet: "alice", hold });
  assert.deepEqual([captured, reserved, state], [1500n, 0n, "captured"]);
  const holds = [];
  for await (const one of client.holds({ wallet: "alice", also_closed: true })) holds.push(one.hold);
  assert.deepEqual(holds, [hold]);
});

test("a batch says what became of each command", async () => {
  const posting = { from: "alice", to: "bob", asset: "EUR" };
  const done = await client.batch.execute({
    atomic: false,
    commands: [
      { method: "transfer.post", command_id: "batch-1", postings: [{ ...posting, amount: 1n }] },
      { method: "transfer.post", command_id: "batch-2", postings: [{ ...posting, amount: 10n ** 20n }] },
    ],
  });
  assert.match(done.outcomes[0]?.transfer ?? "", /^t/);
  assert.equal(done.outcomes[1]?.error?.data.reason, "insufficient_funds");
  assert.equal(done.outcomes[1]?.error?.data.required, 10n ** 20n);
});

test("a statement is read line by line over its pages", async () => {
  const amounts = [];
  for await (const line of client.statementLines({ wallet: "bob", limit: 1 })) amounts.push(line.amount);
  assert.deepEqual(amounts.slice(0, 2), [1250n, 1n]);
  const names = [];
  for await (const { wallet } of client.wallets({ limit: 1 })) names.push(wallet);
  assert.deepEqual(names.slice(-3), ["alice", "bob", "carol"]);
});

test("a viewing key sees its wallet and may not pay", async () => {
  const token = newToken();
  await client.client.create({ client: "page", scopes: ["view:bob"], token_sha256: await tokenSha256(token) });
  const viewer = await connect(daemon.url, { token });
  try {
    assert.deepEqual(viewer.hello.auth.scopes, ["view:bob"]);
    assert.equal((await viewer.wallet.get({ wallet: "bob" })).wallet, "bob");
    const paying = viewer.pay({ from: "bob", to: "alice", amount: 1n, asset: "EUR" });
    await assert.rejects(paying, { reason: "forbidden" });
    await client.client.revoke({ client: "page" });
    await assert.rejects(viewer.wallet.get({ wallet: "bob" }), AuthenticationFailed);
  } finally {
    await viewer.close();
  }
});

test("what cannot be reached says why", async () => {
  await assert.rejects(connect(daemon.url, { token: "wrong" }), AuthenticationFailed);
  await assert.rejects(connect("http//nonsense"), NotAnAddress);
  await assert.rejects(connect("ws://127.0.0.1:1"), /cannot reach the daemon at ws:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*; is it running\?/);
});

test("a call can be given up, and ends with its deadline", async () => {
  await assert.rejects(client.daemon.status({}, { signal: AbortSignal.abort("enough") }), (reason) => reason === "enough");
  const paying = client.pay({ from: "alice", to: "bob", amount: 1n, asset: "EUR" }, { deadlineSeconds: 0 });
  await assert.rejects(paying, OutcomeUnknown);
});

test("payments and a stream survive kill -9: each payment once, no event missing, none twice", async () => {
  const stream = await client.subscribe({ wallets: ["carol"], snapshot: true });
  const had = stream.wallets[0]?.balances[0]?.available ?? 0n;
  const seen = [];
  const reading = (async () => {
    for await (const { entry } of stream) {
      seen.push(entry.command.command_id);
      if (seen.length === 200) return;
    }
  })();
  const pay = (number) =>
    client.pay({ from: "alice", to: "carol", amount: 1n, asset: "EUR", command_id: `storm-${number}` });
  const paying = Array.from({ length: 100 }, (_, number) => pay(number));
  await Promise.any(paying);
  await daemon.kill();
  paying.push(...Array.from({ length: 100 }, (_, number) => pay(100 + number)));
  await daemon.start();
  await Promise.all(paying);
  await reading;
  assert.deepEqual([...seen].sort(), Array.from({ length: 200 }, (_, number) => `storm-${number}`).sort());
  assert.equal(await available("carol"), had + 200n);
  assert.deepEqual(states, ["connected", "reconnecting", "connected"]);
});

test("a stream ends when it is closed, and resumes in another process from its cursor", async () => {
  const stream = await client.subscribe({ wallets: ["carol"] });
  const { cursor } = stream;
  const ended = stream.next();
  stream.close();
  assert.deepEqual(await ended, { value: undefined, done: true });
  const paid = await client.pay({ from: "alice", to: "carol", amount: 3n, asset: "EUR" });
  for await (const event of await client.subscribe({ wallets: ["carol"], after: cursor })) {
    assert.equal(event.sequence, paid.sequence);
    assert.equal(event.entry.command.postings[0].amount, 3n);
    break;
  }
});

test("a client that was closed sends nothing more", async () => {
  const told = [];
  const other = await daemon.client({ onState: (state) => told.push(state) });
  const waiting = assert.rejects(other.pay({ from: "alice", to: "bob", amount: 1n, asset: "EUR" }), NotReachable);
  await other.close();
  await waiting;
  await assert.rejects(other.session.ping(), NotReachable);
  assert.deepEqual(told, ["connected", "closed"]);
});

test("a connection on which nothing comes back any more is found, and replaced within the deadline", async () => {
  const { port } = new URL(daemon.url);
  const sockets = [];
  const relay = createServer((near) => {
    const far = new Pipe(near, Number(port));
    sockets.push(far);
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  const other = await connect(`ws://127.0.0.1:${relay.address().port}`, { token: daemon.token, deadlineSeconds: 6 });
  try {
    await other.session.ping();
    sockets[0].isDeaf = true;
    const paid = await other.pay({ from: "alice", to: "bob", amount: 1n, asset: "EUR" });
    assert.equal(sockets.length, 2);
    assert.equal(paid.replayed, true);
  } finally {
    await other.close();
    relay.close();
    for (const socket of sockets) socket.end();
  }
});

/** Two sockets whose bytes are passed on; once deaf, what the daemon says is lost. */
class Pipe {
  isDeaf = false;

  constructor(near, port) {
    this.near = near;
    this.far = createConnection({ port, host: "127.0.0.1" });
    near.pipe(this.far);
    this.far.on("data", (data) => this.isDeaf || near.write(data));
    near.on("error", () => {});
    this.far.on("error", () => {});
  }

  end() {
    this.near.destroy();
    this.far.destroy();
  }
}
