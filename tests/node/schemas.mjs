/**
 * Holds listed tools, and results against them, the way hosts do: node schemas.mjs < {"tools": [...], "answers": [{"tool", "structuredContent"}]}
 * Each schema has to fit the meta-schema of 2020-12 and compile; validators are those of the TypeScript SDK v1, and Ajv for 2020-12.
 */

import { readFileSync } from "node:fs";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import addFormats from "ajv-formats";
import Ajv2020 from "ajv/dist/2020.js";

const { tools, answers } = JSON.parse(readFileSync(0, "utf8"));
const strict = addFormats.default(new Ajv2020.default({ strict: false, allErrors: true }));
const dialects = {
  sdk: (schema) => {
    const check = new AjvJsonSchemaValidator().getValidator(schema);
    return (value) => check(value).errorMessage;
  },
  2020: (schema) => {
    const check = strict.compile(schema);
    return (value) => (check(value) ? undefined : strict.errorsText(check.errors));
  },
};
const problems = [];
const outputs = {};
for (const tool of tools) {
  for (const part of ["inputSchema", "outputSchema"]) {
    for (const [dialect, compile] of Object.entries(dialects)) {
      if (tool[part] === undefined) continue;
      try {
        const check = compile(tool[part]);
        if (part === "outputSchema") (outputs[tool.name] ??= []).push([dialect, check]);
      } catch (error) {
        problems.push(`${tool.name}: ${part}, ${dialect}: ${error.message}`);
      }
    }
  }
}
for (const { tool, structuredContent } of answers) {
  for (const [dialect, check] of outputs[tool] ?? []) {
    const problem = check(structuredContent);
    if (problem !== undefined) problems.push(`${tool}: an answer, ${dialect}: ${problem}`);
  }
}
process.stdout.write(JSON.stringify(problems));
