/** What both generations of the TypeScript SDK do with Repertoire; they differ only in how a tool is called. */

const PATIENCE_MS = 10_000;

const SOURCE = `"""Count to a number, telling of each step."""
import time

def run(upto: int) -> list[int]:
    counted = []
    for number in range(1, upto + 1):
        counted.append(number)
        progress(number, upto, f"at {number}")
        time.sleep(0.12)
    return counted
`;

/** Two promises that are kept when the client hears of a changed list with NAME in it, and the options that make it listen. */
export function listening(name) {
  const heard = {};
  const handlers = (kind, named) => ({
    debounceMs: 0,
    onChanged(error, items) {
      if (error) heard[kind].reject(error);
      else if (named(items)) heard[kind].resolve(true);
    },
  });
  for (const kind of ["tools", "resources"]) heard[kind] = withResolvers();
  const options = {
    listChanged: {
      tools: handlers("tools", (tools) => tools.some((tool) => tool.name === name)),
      resources: handlers("resources", (resources) => resources.some((resource) => resource.uri === `workflow:///${name}`)),
    },
  };
  return { heard, options };
}

/** Lists, creates the workflow NAME, hears of it, calls it, and prints as JSON what was seen. */
export async function session(client, transport, { name, heard, call, version }) {
  await client.connect(transport);
  const before = (await client.listTools()).tools.map((tool) => tool.name);
  const created = await call({ name: "create_workflow", arguments: { name, source: SOURCE } });
  if (created.isError) throw new Error(created.content[0].text);
  await inTime("list_changed", Promise.all([heard.tools.promise, heard.resources.promise]));
  const progress = [];
  const answer = await call({ name, arguments: { upto: 3 } }, { onprogress: (event) => progress.push(event) });
  const wrong = await call({ name, arguments: { upto: "many" } });
  const negotiated = version();
  await client.close();
  console.log(JSON.stringify({
    version: negotiated, before, created: created.structuredContent, answer: answer.structuredContent,
    progress, wrong: wrong.isError === true && wrong.structuredContent.error.code,
  }));
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

async function inTime(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} has not come after ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
