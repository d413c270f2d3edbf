/** The TypeScript SDK v2: node v2.mjs NAME legacy|auto stdio COMMAND ARGS... | http URL */

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { listening, session } from "./session.mjs";

const [name, mode, way, target, ...args] = process.argv.slice(2);
const transports = {
  stdio: () => new StdioClientTransport({ command: target, args, env: process.env }),
  http: () => new StreamableHTTPClientTransport(new URL(target)),
};
const { heard, options } = listening(name);
const client = new Client({ name: "typescript-v2", version: "1" }, { ...options, versionNegotiation: { mode } });
const call = (params, how) => client.callTool(params, how);
const version = () => client.getNegotiatedProtocolVersion();
await session(client, transports[way](), { name, heard, call, version });
