// Compiled, never run: what a program written in TypeScript may say, and what it may not.

import { type Applied, connect, Refused } from "walletd-client";

export async function program(): Promise<Applied> {
  const client = await connect("ws://127.0.0.1:7878", { token: "t" });
  // @ts-expect-error an amount is a bigint
  await client.pay({ from: "alice", to: "bob", amount: 12.5, asset: "EUR" });
  // @ts-expect-error nor is it a string
  await client.hold.place({ wallet: "alice", asset: "EUR", amount: "1250" });
  // @ts-expect-error a hold needs a wallet
  await client.hold.void({ hold: "h1" });
  // @ts-expect-error there is no such method
  await client.transfer.undo({});
  try {
    const { balances } = await client.balance.get({ wallet: "alice" });
    const all: bigint = balances.reduce((sum, balance) => sum + balance.posted, 0n);
    return await client.pay({ from: "alice", to: "bob", amount: all, asset: "EUR", valid_until: new Date() });
  } catch (error) {
    if (error instanceof Refused && error.reason === "insufficient_funds") {
      const missing: bigint | undefined = error.facts.short_by;
      throw new Error(`${missing} are missing`);
    }
    throw error;
  }
}

export async function watch(): Promise<void> {
  const client = await connect("ws://127.0.0.1:7878");
  for await (const event of await client.subscribe({ prefix: "user-", after: 0 })) {
    const { command } = event.entry;
    if (command.method === "transfer.post") {
      const paid: bigint = command.postings.reduce((sum, posting) => sum + posting.amount, 0n);
      // @ts-expect-error amounts are not numbers
      const wrong: number = paid;
    }
  }
}
