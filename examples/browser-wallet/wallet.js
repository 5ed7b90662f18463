// A wallet in a browser, live: balances and movements of the wallet that a viewing key shows.
//
// The key may come with the link, as index.html#url=wss://wallet.example&token=KEY: what is behind # is not sent to the
// server of the page.  A viewing key shows its wallets and can move nothing.

import { connect } from "walletd-client";

const LINES = 12;

const form = /** @type {HTMLFormElement} */ (document.getElementById("entrance"));
const asked = new URLSearchParams(location.hash.slice(1));

if (asked.has("token")) {
  history.replaceState(null, "", location.pathname);
  void open(asked.get("url") ?? "ws://127.0.0.1:7878", asked.get("token") ?? "");
} else {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    void open(String(given.get("url")), String(given.get("token")));
  });
}

/**
 * @param {string} url
 * @param {string} token
 */
async function open(url, token) {
  show("trouble", "");
  try {
    const client = await connect(url, { token, onState });
    const wallet = walletOf(client.hello.auth.scopes);
    show("name", wallet);
    form.hidden = true;
    element("wallet").hidden = false;
    await watch(client, wallet);
  } catch (error) {
    show("trouble", error instanceof Error ? error.message : String(error));
  }
}

/**
 * Show the wallet as it is, and then as it becomes.  The stream has no gap, however often the connection is lost.
 *
 * @param {import("walletd-client").Client} client
 * @param {string} wallet
 */
async function watch(client, wallet) {
  const stream = await client.subscribe({ wallets: [wallet], snapshot: true });
  const balances = new Map();
  for (const view of stream.wallets) for (const balance of view.balances) balances.set(balance.asset, balance);
  await showBalances(client, balances.values());
  await showMovements(client, wallet);
  for await (const { entry } of stream) {
    for (const balance of entry.effects?.balances ?? []) {
      if (balance.wallet === wallet) balances.set(balance.asset, balance);
    }
    await showBalances(client, balances.values());
    await showMovements(client, wallet);
  }
}

/**
 * @param {import("walletd-client").Client} client
 * @param {Iterable<import("walletd-client").BalanceRecord>} balances
 */
async function showBalances(client, balances) {
  const cards = [];
  for (const { asset, available, posted, held } of balances) {
    const card = made("div", "balance");
    card.append(made("p", "amount", `${await client.mainUnits(available ?? posted, asset)} ${asset}`));
    if (held > 0n) card.append(made("p", "held", `${await client.mainUnits(held, asset)} ${asset} are held`));
    cards.push(card);
  }
  element("balances").replaceChildren(...(cards.length > 0 ? cards : [made("p", "about", "Nothing here yet.")]));
}

/**
 * @param {import("walletd-client").Client} client
 * @param {string} wallet
 */
async function showMovements(client, wallet) {
  const { lines } = await client.statement.get({ wallet, newest_first: true, limit: LINES });
  const rows = [];
  for (const { amount, asset, counterparty, reference, time } of lines) {
    const row = made("li");
    const about = made("span");
    about.append(made("span", "", counterparty), made("br"));
    about.append(made("span", "about", [reference, new Date(time).toLocaleString()].filter(Boolean).join(" · ")));
    const sign = amount > 0n ? "+" : "";
    row.append(about, made("span", amount > 0n ? "amount in" : "amount", `${sign}${await client.mainUnits(amount, asset)} ${asset}`));
    rows.push(row);
  }
  element("movements").replaceChildren(...rows);
}

/**
 * The wallet that a viewing key is for.
 *
 * @param {string[]} scopes
 */
function walletOf(scopes) {
  const [scope = ""] = scopes;
  if (scopes.length !== 1 || !scope.startsWith("view:") || scope.endsWith("*")) {
    throw new Error("this page wants a viewing key of one wallet: walletd client create NAME --scope view:WALLET");
  }
  return scope.slice("view:".length);
}

/** @param {import("walletd-client").State} state */
function onState(state) {
  show("state", { connected: "live", reconnecting: "connecting …", closed: "closed" }[state]);
  element("state").className = state;
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * @param {string} id
 * @param {string} text
 */
function show(id, text) {
  element(id).textContent = text;
}

/**
 * @param {string} tag
 * @param {string} [name]
 * @param {string} [text]
 */
function made(tag, name = "", text = "") {
  const one = document.createElement(tag);
  one.className = name;
  one.textContent = text;
  return one;
}
