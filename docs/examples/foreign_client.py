"""A client from elsewhere: it knows A2A and nothing of Parley.

Uses a2a-sdk and httpx only. It reads the card of a workflow, starts it with an invoice, is told that
a person has to decide, answers as that person, and prints the artifact::

    python foreign_client.py http://127.0.0.1:8420/workflows/invoice-exception \
        workflows/invoice-exception/samples/above-tolerance.xml \
        --requester "$REQUESTER_TOKEN" --approver "$APPROVER_TOKEN"

The progress goes to stderr, the artifact to stdout as JSON. Exit status: 0 if the task completed,
1 if it ended otherwise, 2 if it still waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import UnsupportedOperationError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value

WAITING = {TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED}
ENDED = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_REJECTED,
}


def tell(text):
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def connect(base_url, token):
    """Read the card at `base_url` and return a client that sends `token` with each request."""
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token}"},
        # The SDK's default gives up after 5 s of silence; people take longer.
        timeout=httpx.Timeout(30, read=None),
    ) as http:
        card = await A2ACardResolver(http, base_url).get_agent_card()
        config = ClientConfig(
            httpx_client=http, supported_protocol_bindings=["JSONRPC", "HTTP+JSON"]
        )
        yield card, ClientFactory(config).create(card)


def message(data, task=None):
    """A message with one data part; as an answer to `task` if there is one."""
    return SendMessageRequest(
        message=Message(
            # Sent again with the same id after a lost answer, nothing would run twice.
            message_id=str(uuid4()),
            role=Role.ROLE_USER,
            parts=[Part(data=ParseDict(data, Value()))],
            task_id=task.id if task else "",
            context_id=task.context_id if task else "",
        )
    )


async def watch(events):
    """Follow a stream until nothing more happens by itself; return the task's id."""
    task_id = ""
    async with aclosing(events):
        async for event in events:
            kind = event.WhichOneof("payload")
            if kind == "task":
                task_id, status = event.task.id, event.task.status
            elif kind == "status_update":
                task_id, status = event.status_update.task_id, event.status_update.status
            else:
                continue
            words = " ".join(part.text for part in status.message.parts if part.text)
            tell(f"  {TaskState.Name(status.state)} {words}".rstrip())
            if status.state in ENDED | WAITING:
                break
    return task_id


async def settled(client, task_id) -> Task:
    """Return the task once nothing more happens by itself."""
    task = await client.get_task(GetTaskRequest(id=task_id))
    while task.status.state not in ENDED | WAITING:
        # Refused if the task has ended meanwhile: then reading it again says so.
        with suppress(UnsupportedOperationError):
            await watch(client.subscribe(SubscribeToTaskRequest(id=task_id)))
        task = await client.get_task(GetTaskRequest(id=task_id))
    return task


def question_of(task):
    """Return the data part of the question that the task waits on, if this caller may see it."""
    for part in task.status.message.parts:
        if part.HasField("data"):
            return MessageToDict(part.data)
    return None


async def main(arguments) -> int:
    invoice = arguments.invoice.read_text(encoding="utf-8")

    async with connect(arguments.base_url, arguments.requester) as (card, client):
        tell(f"{card.name} {card.version}: {card.description}")
        tell(f"the requester sends {arguments.invoice.name}")
        task_id = await watch(client.send_message(message({"invoice": invoice})))
        task = await settled(client, task_id)

    if task.status.state in WAITING:
        async with connect(arguments.base_url, arguments.approver) as (_, client):
            # The approver reads the task: the question, its facts and its digest are for them.
            task = await client.get_task(GetTaskRequest(id=task_id))
            question = question_of(task)
            if question is None:
                tell("the task waits for somebody else")
                return 2
            tell(f"the approver is asked: {question['title']}")
            tell(f"  because: {question['reason']}")
            for fact in question["summary"]:
                tell(f"  {fact['name']} = {fact['value']}  ({fact['source']})")
            tell(f"the approver answers: {arguments.answer}")
            answer = {
                "outcome": arguments.answer,
                "digest": question["digest"],
                "comment": "decided by a foreign client",
            }
            await watch(client.send_message(message(answer, task)))
            task = await settled(client, task_id)

    for artifact in task.artifacts:
        for part in artifact.parts:
            content = MessageToDict(part.data) if part.HasField("data") else part.text
            print(json.dumps(content, indent=2, ensure_ascii=False))
    tell(f"{task.id} is {TaskState.Name(task.status.state)}")
    return 0 if task.status.state == TaskState.TASK_STATE_COMPLETED else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base_url", help="where the agent's card is, without /.well-known/...")
    parser.add_argument("invoice", type=Path, help="UBL 2.1 invoice")
    parser.add_argument("--requester", required=True, help="token of who starts the task")
    parser.add_argument("--approver", required=True, help="token of who answers")
    parser.add_argument("--answer", default="approve", help="approve or reject")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
