/**
 * Repertoire from Node, with the official MCP SDK (v1) and nothing else.
 *
 *     npm install
 *     node list_run.mjs [PACKAGE] -- /path/to/.venv/bin/repertoire serve --session node
 *
 * Lists the tools, lets `source_report` report on an installed Python package with visible progress, and prints its result.
 * Data goes to stdout, everything else to stderr; exits with 1 when the run failed.
 */

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const WAIT_S = 30; // one get_run waits so long: below the 45 s that the server allows

function readWords(words) {
  const cut = words.indexOf("--");
  const command = cut < 0 ? ["repertoire", "serve", "--session", "node"] : words.slice(cut + 1);
  const [name = "mcp"] = cut < 0 ? words : words.slice(0, cut);
  return { name, command };
}

async function call(client, name, args, options) {
  const answer = await client.callTool({ name, arguments: args }, undefined, options);
  return answer.structuredContent;
}

/** The run's answer when it has ended: one that takes long is answered `working` first, and asked for by its id. */
async function runToTheEnd(client, name, args, onprogress) {
  let run = await call(client, "run_workflow", { name, arguments: args }, { onprogress });
  while (run.status === "working") {
    run = await call(client, "get_run", { run_id: run.run_id, wait_s: WAIT_S });
  }
  return run;
}

function showProgress({ progress, total, message }) {
  console.error(`progress ${progress}${total ? `/${total}` : ""} ${message ?? ""}`);
}

async function main() {
  const { name, command } = readWords(process.argv.slice(2));
  const [program, ...args] = command;
  const client = new Client({ name: "repertoire-example", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ command: program, args, env: process.env, stderr: "inherit" }));
  try {
    const { tools } = await client.listTools();
    console.error(`${tools.length} tools: ${tools.map((tool) => tool.name).join(", ")}`);
    const run = await runToTheEnd(client, "source_report", { package: name, longest: 3 }, showProgress);
    console.log(JSON.stringify(run.error ?? run.result, null, 2));
    process.exitCode = run.status === "completed" ? 0 : 1;
  } finally {
    await client.close();
  }
}

await main();
