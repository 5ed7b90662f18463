// The client for walletd.
//
//     const client = await connect("ws://127.0.0.1:7878", { token });
//     await client.pay({ from: "alice", to: "bob", amount: 1250n, asset: "EUR", command_id: "invoice-7" });
//     for await (const event of await client.subscribe({ wallets: ["bob"] })) console.log(event.entry);

export { mainUnits, units } from "./amounts.js";
export { Client, connect } from "./client.js";
export {
  AuthenticationFailed,
  ClientError,
  ClosedForGood,
  NotAnAddress,
  NotReachable,
  OutcomeUnknown,
  Refused,
  RequestFailed,
  StreamBroken,
  UnreadableAnswer,
} from "./errors.js";
export { newCommandId, newToken, tokenSha256 } from "./ids.js";
export { Event, EventStream } from "./streams.js";

/** @typedef {import("./client.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./client.js").Payment} Payment */
/** @typedef {import("./client.js").State} State */
/** @typedef {import("./errors.js").Reason} Reason */
/** @typedef {import("./methods.js").CallOptions} CallOptions */
/** @typedef {import("./methods.js").Applied} Applied */
/** @typedef {import("./methods.js").BalanceRecord} BalanceRecord */
/** @typedef {import("./methods.js").CommandGiven} CommandGiven */
/** @typedef {import("./methods.js").Cursor} Cursor */
/** @typedef {import("./methods.js").Entry} Entry */
/** @typedef {import("./methods.js").Facts} Facts */
/** @typedef {import("./methods.js").Hello} Hello */
/** @typedef {import("./methods.js").HoldView} HoldView */
/** @typedef {import("./methods.js").StatementLine} StatementLine */
/** @typedef {import("./methods.js").TransferView} TransferView */
/** @typedef {import("./methods.js").WalletView} WalletView */
