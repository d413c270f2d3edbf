/** The TypeScript SDK v1: node v1.mjs NAME stdio COMMAND ARGS... | http URL | sse URL */

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { listening, session } from "./session.mjs";

const [name, way, target, ...args] = process.argv.slice(2);
const transports = {
  stdio: () => new StdioClientTransport({ command: target, args, env: process.env }),
  http: () => new StreamableHTTPClientTransport(new URL(target)),
  sse: () => new SSEClientTransport(new URL(target)),
};
const { heard, options } = listening(name);
const client = new Client({ name: "typescript-v1", version: "1" }, options);
const transport = transports[way]();
let version;
transport.setProtocolVersion = ((set) => (chosen) => {
  version = chosen;
  set?.call(transport, chosen);
})(transport.setProtocolVersion);
const call = (params, how) => client.callTool(params, undefined, how);
await session(client, transport, { name, heard, call, version: () => version });
