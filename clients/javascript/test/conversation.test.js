// What is sent, sent again and believed, without a socket: a daemon that says what a test wants it to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthenticationFailed, NotReachable, OutcomeUnknown, Refused, RequestFailed, StreamBroken } from "walletd-client";

import { Backoff } from "../src/backoff.js";
import { Conversation } from "../src/conversation.js";

const LIMITS = { max_in_flight: 2, max_frame_bytes: 1000, max_subscriptions: 5 };

function greeted(options = {}, limits = {}) {
  const conversation = new Conversation({ random: () => 0.5, ...options });
  hello(conversation, { limits: { ...LIMITS, ...limits } });
  return conversation;
}

function hello(conversation, { limits = LIMITS, required = false } = {}) {
  say(conversation, { method: "hello", params: { auth: { required }, limits, lifecycle: "serving" } });
}

function say(conversation, message, now = 0) {
  conversation.receive(JSON.stringify({ jsonrpc: "2.0", ...message }), now);
}

function ask(conversation, method = "transfer.post", more = {}) {
  const request = { method, params: { command_id: "c" }, result: "Applied", commandId: "c", changes: true, repeats: true };
  const over = [];
  const exchange = conversation.begin({ ...request, ...more }, (settled) => over.push(settled));
  return { exchange, over };
}

function read(conversation) {
  return ask(conversation, "balance.get", { commandId: undefined, changes: false, result: "" });
}

function outgoing(conversation, now = 0) {
  return conversation.outgoing(now).map((frame) => JSON.parse(frame));
}

function failed(id, reason, code, more = {}) {
  return { id, error: { code, message: reason, data: { reason, outcome: "not_applied", retry: "never", ...more } } };
}

test("nothing is sent before hello, and no more than the daemon accepts unanswered", () => {
  const conversation = new Conversation({ random: () => 0 });
  for (let number = 0; number < 3; number++) ask(conversation);
  assert.deepEqual(outgoing(conversation), []);
  hello(conversation);
  assert.deepEqual(outgoing(conversation).map(({ id }) => id), [1, 2]);
  say(conversation, { id: 2, result: { balances: [] } });
  assert.deepEqual(outgoing(conversation).map(({ id }) => id), [3]);
});

test("what was in flight at a lost connection is sent again first, with the same command id", () => {
  const conversation = greeted();
  const first = ask(conversation);
  ask(conversation);
  ask(conversation);
  const sent = outgoing(conversation);
  conversation.lost();
  assert.deepEqual(outgoing(conversation), [], "not before the next hello");
  hello(conversation);
  assert.deepEqual(outgoing(conversation), sent);
  say(conversation, { id: 1, result: { balances: [], replayed: true } });
  assert.equal(first.over[0].result.replayed, true);
  assert.equal(first.over[0].result.command_id, "c");
});

test("a command that was sent and not answered has an unknown outcome; one that was not sent has none", () => {
  const conversation = greeted({}, { max_in_flight: 1 });
  const [sent, unsent, late] = [ask(conversation), ask(conversation), read(conversation)];
  outgoing(conversation);
  assert.ok(sent.exchange.overdue(1) instanceof OutcomeUnknown);
  assert.equal(sent.exchange.overdue(1).commandId, "c");
  assert.ok(unsent.exchange.overdue(1) instanceof NotReachable);
  conversation.lost();
  conversation.stop(new NotReachable("closed"));
  assert.ok(sent.over[0].error instanceof OutcomeUnknown);
  assert.ok(unsent.over[0].error instanceof NotReachable);
  assert.ok(late.over[0].error instanceof NotReachable);
  assert.throws(() => ask(conversation), NotReachable);
});

test("a refusal has its reason and its facts, and settles a command that was in doubt", () => {
  const conversation = greeted();
  const { over } = ask(conversation);
  outgoing(conversation);
  conversation.lost();
  hello(conversation);
  outgoing(conversation);
  say(conversation, failed(1, "insufficient_funds", 3040, { available: "5", required: "9", retry: "new_command_id" }));
  const { error } = over[0];
  assert.ok(error instanceof Refused);
  assert.deepEqual([error.reason, error.code, error.retry], ["insufficient_funds", 3040, "new_command_id"]);
  assert.deepEqual(error.facts, { available: 5n, required: 9n });
});

test("a busy daemon is asked again after the time that it names", () => {
  const conversation = greeted();
  const { over } = ask(conversation);
  outgoing(conversation);
  say(conversation, failed(1, "overloaded", 1005, { retry: "same_command_id", retry_after_ms: 100 }), 1000);
  assert.equal(conversation.nextDue, 1125);
  assert.deepEqual(outgoing(conversation, 1124), []);
  assert.equal(outgoing(conversation, 1125)[0].params.command_id, "c");
  say(conversation, { id: 1, result: { balances: [] } });
  assert.equal(over[0].error, undefined);
});

test("without retries, a busy daemon is an error", () => {
  const conversation = greeted({ retryBusy: false });
  const { over } = ask(conversation);
  outgoing(conversation);
  say(conversation, failed(1, "draining", 1004, { retry: "same_command_id" }));
  assert.ok(over[0].error instanceof RequestFailed && !(over[0].error instanceof Refused));
});

test("a caller that left hears nothing more, and its request is not sent again", () => {
  const conversation = greeted();
  const { exchange, over } = ask(conversation);
  outgoing(conversation);
  conversation.abandon(exchange);
  conversation.lost();
  hello(conversation);
  assert.deepEqual(outgoing(conversation), []);
  assert.deepEqual(over, []);
});

test("a request above the daemon's bound is not sent, because the connection would be closed over it", () => {
  const conversation = greeted();
  const { over } = ask(conversation, "transfer.post", { params: { reference: "€".repeat(400) } });
  assert.deepEqual(outgoing(conversation), []);
  assert.equal(over[0].error.reason, "invalid_request");
});

test("a token that did not arrive with the handshake is sent with the first request", () => {
  const conversation = new Conversation({ random: () => 0, token: "secret" });
  ask(conversation);
  hello(conversation, { required: true });
  const [introduction, ...more] = outgoing(conversation);
  assert.deepEqual([introduction.method, introduction.params, more], ["session.authenticate", { token: "secret" }, []]);
  assert.deepEqual(outgoing(conversation), []);
  say(conversation, { id: introduction.id, result: {} });
  assert.equal(outgoing(conversation).length, 1);
});

test("without a token, a daemon that needs one ends the client", () => {
  const conversation = new Conversation({ random: () => 0 });
  const { over } = ask(conversation);
  hello(conversation, { required: true });
  assert.ok(over[0].error instanceof AuthenticationFailed);
});

test("messages that nobody can read are ignored", () => {
  const conversation = greeted();
  for (const text of ["", "[", "null", "[]", "7", '{"method":"later.news","params":{}}', '{"id":99,"result":{}}']) {
    conversation.receive(text, 0);
  }
  assert.equal(conversation.stopped, undefined);
});

// --- streams -----------------------------------------------------------------------------------------------------------

function streaming(conversation = greeted()) {
  const stream = conversation.openStream({ wallets: ["bob"] }, { snapshot: true }, () => {});
  return { conversation, stream };
}

function subscribed(conversation, { subscription = 1, from = 10 } = {}) {
  const request = outgoing(conversation).find(({ method }) => method === "stream.subscribe");
  const result = { subscription, mode: "live", epoch: 1, from, head: from };
  say(conversation, { id: request.id, result });
  return request.params;
}

function event(conversation, sequence, previous_sequence, { subscription = 1, epoch = 1 } = {}) {
  const params = { subscription, epoch, sequence, previous_sequence, entry: { sequence } };
  say(conversation, { method: "stream.event", params });
}

test("a stream resumes from its cursor on the next connection, without a double", () => {
  const { conversation, stream } = streaming();
  assert.deepEqual(subscribed(conversation), { wallets: ["bob"], snapshot: true });
  event(conversation, 12, 10);
  conversation.lost();
  hello(conversation);
  const after = { epoch: 1, sequence: 12 };
  assert.deepEqual(subscribed(conversation, { subscription: 7, from: 12 }), { wallets: ["bob"], after });
  event(conversation, 12, 10, { subscription: 7 });
  event(conversation, 13, 12, { subscription: 7 });
  const read = [conversation.nextEvent(stream), conversation.nextEvent(stream), conversation.nextEvent(stream)];
  assert.deepEqual(read.map((one) => one?.sequence), [12, 13, undefined]);
  assert.deepEqual(stream.cursor, { epoch: 1, sequence: 13 });
});

test("a heartbeat moves the cursor of an idle stream", () => {
  const { conversation, stream } = streaming();
  subscribed(conversation);
  say(conversation, { method: "stream.heartbeat", params: { subscription: 1, epoch: 1, head: 40 } });
  assert.deepEqual(stream.cursor, { epoch: 1, sequence: 40 });
});

test("after a gap the stream is resumed, and breaks if the events stay missing", () => {
  const { conversation, stream } = streaming();
  subscribed(conversation);
  for (let subscription = 1; subscription <= 4; subscription++) {
    event(conversation, 15, 14, { subscription });
    const asked = outgoing(conversation);
    assert.equal(asked[0].method, "stream.unsubscribe");
    say(conversation, { id: asked[0].id, result: {} });
    if (subscription === 4) continue;
    const result = { subscription: subscription + 1, mode: "replay", epoch: 1, from: 10, head: 15 };
    say(conversation, { id: asked[1].id, result });
  }
  assert.throws(() => conversation.nextEvent(stream), StreamBroken);
});

test("a slow reader does not fill the memory: the stream pauses, and resumes from its cursor", () => {
  const { conversation, stream } = streaming();
  subscribed(conversation, { from: 0 });
  for (let sequence = 1; sequence <= 8193; sequence++) event(conversation, sequence, sequence - 1);
  assert.deepEqual(outgoing(conversation).map(({ method }) => method), ["stream.unsubscribe"]);
  for (let sequence = 1; sequence <= 8192; sequence++) {
    assert.equal(conversation.nextEvent(stream).sequence, sequence);
  }
  const params = subscribed(conversation, { subscription: 2, from: 8192 });
  assert.deepEqual(params.after, { epoch: 1, sequence: 8192 });
});

// --- reconnecting ------------------------------------------------------------------------------------------------------

test("the delays double up to ten seconds, with jitter over the whole of each", () => {
  const backoff = new Backoff(() => 1);
  const delays = Array.from({ length: 9 }, () => backoff.after({ code: 1006, reason: "" }));
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  backoff.greeted();
  assert.equal(backoff.after({ code: 1012, reason: "" }), 500);
  assert.equal(new Backoff(() => 0).after({ code: 1006, reason: "" }), 0);
});

test("codes that mean not to come back end the client", () => {
  const backoff = new Backoff(() => 0);
  assert.ok(backoff.after({ code: 4401, reason: "revoked" }) instanceof AuthenticationFailed);
  assert.match(String(backoff.after({ code: 4406, reason: "version" })), /closed the connection for good: 4406 version/);
  for (const code of [4503, 4508, 4529, 1011, 1013]) assert.equal(typeof backoff.after({ code, reason: "" }), "number");
});
