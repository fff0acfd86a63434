"""The tasks of a document as values: these models are the schema of the profile.

Keys are the specification's; unknown ones are refused. A task list is an array of maps with one
key each, the name of the task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PlainValidator,
    StringConstraints,
    Tag,
)
from pydantic_core import CoreSchema, core_schema

from parley_coordinator.workflow.calls import (
    A2aArguments,
    HttpArguments,
    McpArguments,
    Members,
    OpenApiArguments,
)
from parley_coordinator.workflow.events import Emit, Listen
from parley_coordinator.workflow.fields import (
    NO_INPUT,
    NO_OUTPUT,
    PROTOCOLS,
    Duration,
    Errors,
    ErrorSpec,
    Function,
    InputSpec,
    Label,
    OutputSpec,
    RetryPolicy,
    Strict,
    TaskName,
    Timeout,
    VariableName,
    by_type,
    problem,
    read_function,
)

CONTINUE: Final = "continue"
EXIT: Final = "exit"
END: Final = "end"
DIRECTIVES: Final = frozenset((CONTINUE, EXIT, END))

KINDS: Final = (
    *("call", "do", "emit", "for", "fork", "listen", "raise", "run"),
    *("set", "switch", "try", "wait"),
)


@dataclass(frozen=True, slots=True)
class NamedTask:
    """One entry of a task list."""

    name: str
    task: Task
    definition: dict[str, Any]
    """As written; `$task.definition`."""


def _task_list_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_wrap_validator_function(
        _name_tasks, handler.generate_schema(list[dict[TaskName, AnyTask]])
    )


def _name_tasks(
    value: Any, handler: Callable[[Any], list[dict[str, Task]]]
) -> tuple[NamedTask, ...]:
    if not isinstance(value, list) or not value:
        fix = "write a list of `- name: {...}`"
        raise problem("task-list", "a task list is an array with at least one task", fix)
    names: set[str] = set()
    for index, entry in enumerate(value):
        step = f"/{index}"
        if not isinstance(entry, dict) or len(entry) != 1:
            message = "each entry of a task list has one key, its name"
            fix = "write `- name: {...}` and indent the rest below the name"
            raise problem("task-list", message, fix, step=step)
        (name,) = entry
        if name in DIRECTIVES:
            message = f"{name!r} is a flow directive"
            raise problem("task-name", message, "name the task otherwise", step=step)
        if name in names:
            message = f"two tasks of one list are named {str(name)[:40]!r}"
            raise problem("task-name", message, "name one of them otherwise", step=step)
        names.add(name)
    checked = handler(value)
    return tuple(
        NamedTask(name, task, raw[name])
        for raw, entry in zip(value, checked, strict=True)
        for name, task in entry.items()
    )


TaskList: TypeAlias = Annotated[tuple[NamedTask, ...], GetPydanticSchema(_task_list_schema)]


class Task(Strict):
    """What every task has."""

    kind: ClassVar[str]

    if_: str | None = Field(None, alias="if", strict=True)
    input: InputSpec = NO_INPUT
    output: OutputSpec = NO_OUTPUT
    export: OutputSpec = NO_OUTPUT
    timeout: Timeout | None = None
    then: str = CONTINUE
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        label = self.metadata.get("label")
        return label if isinstance(label, str) else ""

    @property
    def compensates(self) -> str:
        """The name of the task whose effect this one undoes; empty: none (ADR-0011)."""
        undone = self.metadata.get("compensates")
        return undone if isinstance(undone, str) else ""

    @property
    def idempotent(self) -> bool:
        """The author's word that doing it twice does no harm."""
        return self.metadata.get("idempotent") is True


class CallTask(Task):
    """A call of a function: of a catalog, or of `use.functions`."""

    kind = "call"
    call: Annotated[Function, PlainValidator(read_function)]
    with_: Members = Field(default_factory=dict, alias="with")


class HttpTask(Task):
    kind = "call"
    call: Literal["http"]
    with_: HttpArguments = Field(alias="with")


class OpenApiTask(Task):
    kind = "call"
    call: Literal["openapi"]
    with_: OpenApiArguments = Field(alias="with")


class A2aTask(Task):
    kind = "call"
    call: Literal["a2a"]
    with_: A2aArguments = Field(alias="with")


class McpTask(Task):
    kind = "call"
    call: Literal["mcp"]
    with_: McpArguments = Field(alias="with")


ProtocolTask: TypeAlias = HttpTask | OpenApiTask | A2aTask | McpTask
PROTOCOL_TASKS: Final = (HttpTask, OpenApiTask, A2aTask, McpTask)


_PROCESSES: Final = ("container", "script", "shell")


def _workflows_only(value: Any) -> Any:
    process = next((name for name in _PROCESSES if isinstance(value, dict) and name in value), None)
    if process is not None:
        message = f"`run: {process}` would run a program from a document"
        raise problem("refused", message, "make it an agent, and call its skill")
    return value


class DoTask(Task):
    kind = "do"
    do: TaskList


class EmitTask(Task):
    kind = "emit"
    emit: Emit


class For(Strict):
    each: VariableName = "item"
    in_: Annotated[str, Field(min_length=1)] | list[Any] = Field(alias="in")
    at: VariableName = "index"


class ForTask(Task):
    kind = "for"
    for_: For = Field(alias="for")
    while_: str | None = Field(None, alias="while", strict=True)
    do: TaskList


class Fork(Strict):
    branches: TaskList
    compete: bool = Field(default=False, strict=True)


class ForkTask(Task):
    kind = "fork"
    fork: Fork


class ForEach(Strict):
    """What is done with each event that a listen hears, one at a time, in the order they came."""

    item: VariableName = "item"
    at: VariableName = "index"
    do: TaskList | None = None
    output: OutputSpec = NO_OUTPUT
    export: OutputSpec = NO_OUTPUT


class ListenTask(Task):
    kind = "listen"
    listen: Listen
    foreach: ForEach | None = None


class Raise(Strict):
    error: Annotated[
        Annotated[str, Tag("<name>")] | Annotated[ErrorSpec, Tag("<object>")],
        Discriminator(by_type),
    ]


class RaiseTask(Task):
    kind = "raise"
    raise_: Raise = Field(alias="raise")


class RunWorkflow(Strict):
    namespace: Label
    name: Label
    version: Annotated[
        str, StringConstraints(pattern=r"^(\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?|latest)$")
    ]
    input: Any = None


class Run(Strict):
    workflow: RunWorkflow
    await_: bool = Field(default=True, alias="await", strict=True)
    return_: Literal["stdout", "none"] = Field("stdout", alias="return")


class RunTask(Task):
    kind = "run"
    run: Annotated[Run, BeforeValidator(_workflows_only)]


class SetTask(Task):
    kind = "set"
    set: Annotated[
        Annotated[str, Tag("<name>")] | Annotated[dict[str, Any], Tag("<object>")],
        Discriminator(by_type),
    ]


class Case(Strict):
    when: str | None = Field(None, strict=True)
    then: str = CONTINUE


@dataclass(frozen=True, slots=True)
class NamedCase:
    name: str
    case: Case


def _cases_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_wrap_validator_function(
        _name_cases, handler.generate_schema(list[dict[TaskName, Case]])
    )


def _name_cases(
    value: Any, handler: Callable[[Any], list[dict[str, Case]]]
) -> tuple[NamedCase, ...]:
    if not isinstance(value, list) or not value:
        message = "a switch is an array with at least one case"
        raise problem("switch", message, "write a list of `- name: {when: ..., then: ...}`")
    if not all(isinstance(entry, dict) and len(entry) == 1 for entry in value):
        message = "each case of a switch has one key, its name"
        raise problem("switch", message, "write `- name: {when: ..., then: ...}`")
    cases = tuple(NamedCase(name, case) for entry in handler(value) for name, case in entry.items())
    if len({named.name for named in cases}) < len(cases):
        raise problem("switch", "two cases have one name", "name one of them otherwise")
    if sum(named.case.when is None for named in cases) > 1:
        raise problem("switch", "more than one case has no `when`", "keep one default")
    return cases


class SwitchTask(Task):
    kind = "switch"
    switch: Annotated[tuple[NamedCase, ...], GetPydanticSchema(_cases_schema)]


class Catch(Strict):
    errors: Errors = Errors()
    as_: VariableName = Field("error", alias="as")
    when: str | None = None
    except_when: str | None = Field(None, alias="exceptWhen")
    retry: (
        Annotated[
            Annotated[str, Tag("<name>")] | Annotated[RetryPolicy, Tag("<object>")],
            Discriminator(by_type),
        ]
        | None
    ) = None
    do: TaskList | None = None


class TryTask(Task):
    kind = "try"
    try_: TaskList = Field(alias="try")
    catch: Catch


class WaitTask(Task):
    kind = "wait"
    wait: Duration


def kind_of(value: Any) -> str | None:
    """Return the tag of a task for the union below; the text in `<>` never is a key."""
    if isinstance(value, Task):
        protocol = value.call if isinstance(value, PROTOCOL_TASKS) else ""
        return f"<call:{protocol}>" if protocol else f"<{value.kind}>"
    if "for" in value:
        return "<for>"
    kind = next((kind for kind in KINDS if kind in value), None)
    if kind == "call" and value["call"] in PROTOCOLS:
        return f"<call:{value['call']}>"
    return None if kind is None else f"<{kind}>"


def _one_kind(value: Any) -> Any:
    if isinstance(value, Task):
        return value
    fix = f"give it one of: {', '.join(KINDS)}"
    if not isinstance(value, dict):
        raise problem("task-kind", "a task is an object", fix)
    kinds = [kind for kind in KINDS if kind in value]
    if len(kinds) != 1 and set(kinds) != {"for", "do"}:
        found = "is of no kind" if not kinds else f"is of {len(kinds)} kinds: {', '.join(kinds)}"
        raise problem("task-kind", f"the task {found}", fix)
    return value


AnyTask: TypeAlias = Annotated[
    Annotated[CallTask, Tag("<call>")]
    | Annotated[HttpTask, Tag("<call:http>")]
    | Annotated[OpenApiTask, Tag("<call:openapi>")]
    | Annotated[A2aTask, Tag("<call:a2a>")]
    | Annotated[McpTask, Tag("<call:mcp>")]
    | Annotated[DoTask, Tag("<do>")]
    | Annotated[EmitTask, Tag("<emit>")]
    | Annotated[ForTask, Tag("<for>")]
    | Annotated[ForkTask, Tag("<fork>")]
    | Annotated[ListenTask, Tag("<listen>")]
    | Annotated[RaiseTask, Tag("<raise>")]
    | Annotated[RunTask, Tag("<run>")]
    | Annotated[SetTask, Tag("<set>")]
    | Annotated[SwitchTask, Tag("<switch>")]
    | Annotated[TryTask, Tag("<try>")]
    | Annotated[WaitTask, Tag("<wait>")],
    Discriminator(kind_of),
    BeforeValidator(_one_kind),
]
