// A small real language model behind OpenAI's chat completions: node server.mjs MODEL.gguf. It prints its URL.
//
// 1. Plain messages are answered with text.
// 2. `response_format` of the type json_schema becomes a grammar: the answer fits the schema, whatever it means.
// 3. With `tools` the first answer to a message calls the first tool, its arguments by the same kind of grammar. A model of this size would
//    hardly choose to call it. After a tool's result the answer is text, or the call of the output tool if there is one.
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.argv[3] + "/");
const { getLlama, LlamaChatSession } = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const MOST_TOKENS = 48;
const TEXT_CHARS = 24; // of a text in JSON: it must end before the tokens do
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({ contextSize: 1024 });
const sequence = context.getSequence();

function text(content) {
    if (typeof content === "string") return content;
    return (content ?? []).map((part) => part.text ?? "").join("\n");
}

function bounded(schema) {
    const { title, description, default: _, ...rest } = schema;
    if (rest.type === "string" && !rest.enum) return { ...rest, maxLength: TEXT_CHARS };
    if (rest.items) rest.items = bounded(rest.items);
    if (rest.properties) {
        rest.properties = Object.fromEntries(Object.entries(rest.properties).map(([name, one]) => [name, bounded(one)]));
    }
    return rest;
}

async function generate(messages, schema) {
    const system = messages.filter((one) => one.role === "system" || one.role === "developer");
    const said = messages.filter((one) => !system.includes(one)).map((one) => text(one.content)).filter(Boolean);
    await sequence.clearHistory();
    const session = new LlamaChatSession({ contextSequence: sequence, systemPrompt: system.map((one) => text(one.content)).join("\n") });
    const grammar = schema && (await llama.createGrammarForJsonSchema(bounded(schema)));
    const before = sequence.tokenMeter.getState();
    const answer = await session.prompt(said.join("\n\n"), { grammar, maxTokens: MOST_TOKENS, temperature: 0 });
    const used = sequence.tokenMeter.diff(before);
    session.dispose({ disposeSequence: false });
    return { answer, usage: { prompt_tokens: used.usedInputTokens, completion_tokens: used.usedOutputTokens } };
}

function chosenTool(body) {
    const tools = (body.tools ?? []).map((one) => one.function);
    if (!tools.length || body.tool_choice === "none") return undefined;
    const output = tools.find((one) => one.name.startsWith("final_result"));
    if (body.messages.at(-1).role === "tool") return output;
    return tools.find((one) => one !== output) ?? output;
}

async function complete(body) {
    const tool = chosenTool(body);
    const schema = tool ? tool.parameters : body.response_format?.json_schema?.schema;
    const { answer, usage } = await generate(body.messages, schema);
    const call = tool && { id: "call_1", type: "function", function: { name: tool.name, arguments: answer } };
    const message = { role: "assistant", content: tool ? null : answer, ...(tool ? { tool_calls: [call] } : {}) };
    return {
        id: "chatcmpl-1", object: "chat.completion", created: 0, model: body.model,
        choices: [{ index: 0, message, finish_reason: tool ? "tool_calls" : "stop" }],
        usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
    };
}

let turn = Promise.resolve();
const server = http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
        turn = turn.then(async () => {
            let status = 200, answer;
            try {
                answer = await complete(JSON.parse(Buffer.concat(chunks).toString()));
            } catch (error) {
                [status, answer] = [400, { error: { message: String(error), type: "invalid_request_error" } }];
            }
            response.writeHead(status, { "Content-Type": "application/json" });
            response.end(JSON.stringify(answer));
        });
    });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/v1`));
