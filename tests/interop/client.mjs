// The JavaScript SDK's client. Reads {card, token, binding, calls: [{method, params}]} from its input and
// prints one JSON line for each call: {result} or {error}; streams are arrays of their events.

import { readFileSync } from "node:fs";
import * as sdk from "@a2a-js/sdk";
import { ClientFactory, ClientFactoryOptions } from "@a2a-js/sdk/client";

const METHODS = {
  SendMessage: ["sendMessage", sdk.SendMessageRequest, null],
  SendStreamingMessage: ["sendMessageStream", sdk.SendMessageRequest, sdk.StreamResponse],
  SubscribeToTask: ["resubscribeTask", sdk.SubscribeToTaskRequest, sdk.StreamResponse],
  GetTask: ["getTask", sdk.GetTaskRequest, sdk.Task],
  ListTasks: ["listTasks", sdk.ListTasksRequest, sdk.ListTasksResponse],
  CancelTask: ["cancelTask", sdk.CancelTaskRequest, sdk.Task],
};

const asked = JSON.parse(readFileSync(0, "utf8"));
const headers = asked.token ? { authorization: `Bearer ${asked.token}` } : {};
const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
  preferredTransports: [asked.binding],
});
const client = await new ClientFactory(options).createFromUrl(asked.card, "");

async function perform({ method, params }) {
  const [name, request, response] = METHODS[method];
  const answer = client[name](request.fromJSON(params), { serviceParameters: headers });
  if (Symbol.asyncIterator in answer) {
    const events = [];
    for await (const event of answer) events.push(response.toJSON(event));
    return events;
  }
  const result = await answer;
  if (response !== null) return response.toJSON(result);
  // The SDK hands out what is in a SendMessageResponse.
  return "status" in result ? sdk.Task.toJSON(result) : sdk.Message.toJSON(result);
}

for (const call of asked.calls) {
  let line;
  try {
    line = { result: await perform(call) };
  } catch (error) {
    line = { error: error.message, name: error.constructor.name };
  }
  console.log(JSON.stringify(line));
}
