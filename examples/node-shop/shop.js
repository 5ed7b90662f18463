// A shop over HTTP: an order reserves the customer's money, its shipment takes it, its cancellation lets it go.
//
//     WALLETD_TOKEN_FILE=shop.token PORT=8080 node shop.js
//     curl -X PUT localhost:8080/orders/4711 -d '{"customer": "customer", "amount": "40.00"}'
//     curl -X PUT localhost:8080/orders/4711/shipment
//
// The shop keeps nothing: an order's number makes the command's id.  So every request may be repeated, by a customer
// who clicks twice and by a proxy that lost the answer, and has the same answer.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { connect, NotReachable, OutcomeUnknown, Refused, RequestFailed } from "walletd-client";

const ASSET = "EUR";
const FEE_PERCENT = 3n;

const token = readFileSync(process.env.WALLETD_TOKEN_FILE ?? "shop.token", "utf8").trim();
const walletd = await connect(process.env.WALLETD_URL ?? "ws://127.0.0.1:7878", { token });

/** Reserve what the order costs for a day. */
async function place(order, { customer, amount }) {
  const hold = {
    command_id: `order-${order}`,
    wallet: customer,
    asset: ASSET,
    amount: await walletd.units(amount, ASSET),
    expires_in_seconds: 24 * 3600,
    reference: `order ${order}`,
  };
  const placed = await walletd.hold.place(hold);
  return { order, state: "reserved", hold: placed.hold, repeated: placed.replayed };
}

/** Take the money: the shop's part and the fee in one step. */
async function ship(order) {
  const { wallet, hold, amount } = await reserved(order);
  const fee = (amount * FEE_PERCENT) / 100n;
  const parts = [{ to: "shop", amount: amount - fee }];
  if (fee > 0n) parts.push({ to: "@fees", amount: fee });
  const taken = await walletd.hold.capture({ command_id: `ship-${order}`, wallet, hold, parts, final: true });
  return { order, state: "shipped", transfer: taken.transfer, repeated: taken.replayed };
}

/** Let the money go. */
async function cancel(order) {
  const { wallet, hold } = await reserved(order);
  const voided = await walletd.hold.void({ command_id: `cancel-${order}`, wallet, hold });
  return { order, state: "cancelled", repeated: voided.replayed };
}

/** The hold of an order, as the journal has it. */
async function reserved(order) {
  const { entry } = await walletd.entry.get({ command_id: `order-${order}` });
  const hold = entry.effects?.holds[0];
  if (hold === undefined) throw new Missing(`order ${order} was refused`);
  return hold;
}

class Missing extends Error {}

const ACTIONS = { "": place, shipment: ship, cancellation: cancel };

async function answer(request) {
  const [, order, action = ""] = /^\/orders\/([\w-]{1,40})(?:\/(\w+))?$/.exec(request.url ?? "") ?? [];
  if (request.method !== "PUT" || order === undefined || !Object.hasOwn(ACTIONS, action)) {
    throw new Missing("PUT /orders/NUMBER, /orders/NUMBER/shipment or /orders/NUMBER/cancellation");
  }
  let body = "";
  for await (const piece of request) body += piece;
  return ACTIONS[action](order, body === "" ? {} : JSON.parse(body));
}

/** What a customer's program is told: whether it may send the same request again. */
function failure(error) {
  if (error instanceof Missing) return [404, { error: error.message }];
  if (error instanceof Refused) return [409, { error: error.message, reason: error.reason }];
  if (error instanceof RequestFailed) return [400, { error: error.message, reason: error.reason }];
  if (error instanceof OutcomeUnknown || error instanceof NotReachable) return [503, { error: "send it again" }];
  if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) {
    return [400, { error: error.message }];
  }
  console.error(error);
  return [500, { error: "internal error" }];
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request).then((done) => [200, done], failure);
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`the shop is open at http://127.0.0.1:${server.address().port}`);
});
