// A real daemon as a child process.  WALLETD is the command that starts one, as a list in JSON.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { connect } from "walletd-client";

const COMMAND = JSON.parse(process.env.WALLETD ?? '["walletd"]');

export class Daemon {
  data = join(mkdtempSync(join(tmpdir(), "walletd-")), "data");
  port = "0";
  url = "";
  process = undefined;

  /** Start the process and wait until it says where it listens; later on the same port. */
  async start() {
    const [program, ...first] = COMMAND;
    const words = [...first, "serve", "--data", this.data, "--port", this.port];
    this.process = spawn(program, words, {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, WALLETD_ADMIN_PORT: "0" },
    });
    for await (const line of createInterface(this.process.stdout)) {
      const found = /ws:\/\/[\w.]+:(\d+)/.exec(line);
      if (found === null) continue;
      [this.url, this.port] = found;
      this.process.stdout.resume();
      return;
    }
    throw new Error(`the daemon did not start: ${COMMAND.join(" ")}`);
  }

  /** kill -9, and wait until it is gone. */
  async kill() {
    if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await gone;
  }

  get token() {
    return readFileSync(join(this.data, "operator.token"), "utf8").trim();
  }

  client(options = {}) {
    return connect(this.url, { token: this.token, ...options });
  }
}
