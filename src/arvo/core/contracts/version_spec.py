"""Version spec: the classes or schemas that a contract declares for one version."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Generic, TypeAlias, TypeVar, final, overload

from attrs import frozen

from arvo.core.payloads.frozen_json import EMPTY

A_co = TypeVar("A_co", covariant=True)
C_co = TypeVar("C_co", covariant=True)
I = TypeVar("I")  # noqa: E741 - the init payload
C1 = TypeVar("C1")
C2 = TypeVar("C2")
C3 = TypeVar("C3")

JsonSchema: TypeAlias = Mapping[str, Any]
PayloadKind: TypeAlias = type[Any] | JsonSchema


@final
@frozen(init=False)
class Version(Generic[A_co]):
    """The payloads that one version accepts and may emit.

    *accepts*: an `attrs.frozen` class or a JSON Schema. *emits* maps event types to classes or
    schemas; in a `SimpleContract` it is the class or schema of its only event.
    """

    accepts: type[A_co] | JsonSchema
    emits: Mapping[str, PayloadKind] | type[Any]

    @overload
    def __init__(
        self, *, accepts: type[A_co], emits: Mapping[str, PayloadKind] | type[Any] = ...
    ) -> None: ...
    @overload
    def __init__(
        self: "Version[Mapping[str, Any]]",
        *,
        accepts: JsonSchema,
        emits: Mapping[str, PayloadKind] | type[Any] = ...,
    ) -> None: ...
    def __init__(self, *, accepts: Any, emits: Any = EMPTY) -> None:
        self.__attrs_init__(accepts, emits)


@final
@frozen(init=False)
class Workflow(Generic[A_co, C_co]):
    """The init and completion payloads of one workflow version: classes or JSON Schemas.

    A workflow with several outcomes completes with one of several classes:
    `complete=(Approved, Rejected)` or `complete=Approved | Rejected`. Type checkers infer the
    contract's type from the first form only.
    """

    init: type[A_co] | JsonSchema
    complete: type[C_co] | tuple[type[C_co], ...] | UnionType | JsonSchema

    @overload
    def __init__(self, *, init: type[A_co], complete: type[C_co]) -> None: ...
    @overload
    def __init__(
        self: "Workflow[I, C1 | C2]", *, init: type[I], complete: tuple[type[C1], type[C2]]
    ) -> None: ...
    @overload
    def __init__(
        self: "Workflow[I, C1 | C2 | C3]",
        *,
        init: type[I],
        complete: tuple[type[C1], type[C2], type[C3]],
    ) -> None: ...
    @overload
    def __init__(
        self: "Workflow[I, Any]", *, init: type[I], complete: UnionType | tuple[type[Any], ...]
    ) -> None: ...
    @overload
    def __init__(
        self: "Workflow[Mapping[str, Any], Mapping[str, Any]]",
        *,
        init: JsonSchema,
        complete: JsonSchema,
    ) -> None: ...
    def __init__(self, *, init: Any, complete: Any) -> None:
        self.__attrs_init__(init, complete)
