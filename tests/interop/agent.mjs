// An agent on the JavaScript SDK, over node's own HTTP server. Prints its address when it listens.
// The data part of a message says what it does: {"do": "ask" | "fail" | "message" | "wait" | ...}.

import { createServer } from "node:http";
import { AgentCard, Part, Role, TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from "@a2a-js/sdk/server";

const text = (value) => Part.fromJSON({ text: value });
const data = (value) => Part.fromJSON({ data: value });

class Executor {
  cancelled = new Set();

  async execute(context, bus) {
    const place = { taskId: context.taskId, contextId: context.contextId };
    const message = context.userMessage;
    const sent = message.parts.map((part) => Part.toJSON(part));
    const wanted = sent.find((part) => "data" in part)?.data ?? {};
    const say = (parts) => ({
      messageId: crypto.randomUUID(),
      role: Role.ROLE_AGENT,
      parts,
      extensions: [],
      referenceTaskIds: [],
      ...place,
    });
    const status = (state, parts) => ({
      state,
      timestamp: new Date().toISOString(),
      message: parts ? say(parts) : undefined,
    });
    const change = (state, parts) =>
      bus.publish(AgentEvent.statusUpdate({ ...place, status: status(state, parts) }));

    if (wanted.do === "message") {
      bus.publish(AgentEvent.message({ ...say([data({ said: "hello" })]), taskId: "" }));
      return bus.finished();
    }
    const working = {
      id: context.taskId,
      contextId: context.contextId,
      status: status(TaskState.TASK_STATE_WORKING),
      artifacts: context.task?.artifacts ?? [],
      history: context.task?.history ?? [message],
    };
    bus.publish(AgentEvent.task(working));
    const asked = context.task !== undefined;
    if (wanted.do === "ask" && !asked) {
      change(TaskState.TASK_STATE_INPUT_REQUIRED, [text("which cost centre?")]);
      return bus.finished();
    }
    if (wanted.do === "fail") {
      change(TaskState.TASK_STATE_FAILED, [text("the disk is full")]);
      return bus.finished();
    }
    const output = asked ? { answered: wanted } : { ran: true, amount: wanted.amount ?? null };
    const artifact = { artifactId: "result", name: "result", parts: [data(output)], extensions: [] };
    bus.publish(AgentEvent.artifactUpdate({ ...place, artifact, append: false, lastChunk: true }));
    change(TaskState.TASK_STATE_COMPLETED);
    bus.finished();
  }

  async cancelTask(taskId, bus) {
    this.cancelled.add(taskId);
    bus.finished();
  }
}

function cardOf(url) {
  return AgentCard.fromJSON({
    name: "scripted-js",
    description: "Does what the data part says, on the JavaScript SDK.",
    version: "1.0.0",
    supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    capabilities: { streaming: true },
    defaultInputModes: ["application/json", "text/plain"],
    defaultOutputModes: ["application/json", "text/plain"],
    skills: [{ id: "act", name: "Act", description: "Acts.", tags: ["test"] }],
  });
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

let handler;
let shown;

const server = createServer(async (request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify(AgentCard.toJSON(shown)));
  }
  const context = new ServerCallContext({ requestedVersion: request.headers["a2a-version"] });
  const answer = await handler.handle(await bodyOf(request), context);
  if (!(Symbol.asyncIterator in answer)) {
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify(answer));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for await (const event of answer) response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.end();
});

server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  shown = cardOf(`${url}/a2a`);
  const requests = new DefaultRequestHandler(shown, new InMemoryTaskStore(), new Executor());
  handler = new JsonRpcTransportHandler(requests);
  console.log(url);
});
