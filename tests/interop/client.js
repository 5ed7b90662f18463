// A client of the npm package `ws`: subscribes, pays, and prints what it saw as one JSON document.
//
//     node client.js URL header|subprotocol|method TOKEN compress|plain
//
// The package is found by NODE_PATH.
const WebSocket = require("ws");
const [url, carrier, token, compression] = process.argv.slice(2);
const encoded = Buffer.from(token).toString("base64url");
const protocols = carrier === "subprotocol" ? ["walletd.v1", `walletd.bearer.${encoded}`] : ["walletd.v1"];
const headers = carrier === "header" ? { Authorization: `Bearer ${token}` } : {};
const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: compression === "compress" });
const seen = { replies: {} };

function ask(id, method, params) {
  socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
}

function subscribe() {
  ask(2, "stream.subscribe", { wallets: ["bob"] });
}

socket.on("message", (data, isBinary) => {
  const message = JSON.parse(data.toString());
  seen.binary = seen.binary || isBinary;
  if (message.method === "hello") {
    seen.hello = message.params;
    if (message.params.auth.required) ask(1, "session.authenticate", { token });
    else subscribe();
  } else if (message.method === "stream.event") {
    seen.event = message.params;
    socket.ping("are you there");
  } else if (message.id !== undefined) {
    seen.replies[message.id] = message;
    if (message.id === 1) subscribe();
    const posting = { from: "alice", to: "bob", asset: "EUR", amount: "7" };
    if (message.id === 2) ask(3, "transfer.post", { command_id: `ws-${carrier}-${compression}`, postings: [posting] });
  }
});
socket.on("pong", (data) => {
  seen.pong = data.toString();
  socket.close(1000);
});
socket.on("error", (error) => { seen.error = error.message; });
socket.on("close", (code) => {
  console.log(JSON.stringify({ ...seen, code, protocol: socket.protocol, extensions: socket.extensions }));
});
