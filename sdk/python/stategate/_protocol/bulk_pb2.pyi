# mypy: ignore-errors
from stategate._protocol import request_reply_pb2 as _request_reply_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToFunctions(_message.Message):
    __slots__ = ("calls",)
    class Call(_message.Message):
        __slots__ = ("number", "to_function")
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        TO_FUNCTION_FIELD_NUMBER: _ClassVar[int]
        number: int
        to_function: _request_reply_pb2.ToFunction
        def __init__(self, number: _Optional[int] = ..., to_function: _Optional[_Union[_request_reply_pb2.ToFunction, _Mapping]] = ...) -> None: ...
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[ToFunctions.Call]
    def __init__(self, calls: _Optional[_Iterable[_Union[ToFunctions.Call, _Mapping]]] = ...) -> None: ...

class FromFunctions(_message.Message):
    __slots__ = ("answers",)
    class Failure(_message.Message):
        __slots__ = ("status", "reason", "retry_after_ms")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
        status: int
        reason: str
        retry_after_ms: int
        def __init__(self, status: _Optional[int] = ..., reason: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...
    class Answer(_message.Message):
        __slots__ = ("number", "from_function", "failure")
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        FROM_FUNCTION_FIELD_NUMBER: _ClassVar[int]
        FAILURE_FIELD_NUMBER: _ClassVar[int]
        number: int
        from_function: _request_reply_pb2.FromFunction
        failure: FromFunctions.Failure
        def __init__(self, number: _Optional[int] = ..., from_function: _Optional[_Union[_request_reply_pb2.FromFunction, _Mapping]] = ..., failure: _Optional[_Union[FromFunctions.Failure, _Mapping]] = ...) -> None: ...
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[FromFunctions.Answer]
    def __init__(self, answers: _Optional[_Iterable[_Union[FromFunctions.Answer, _Mapping]]] = ...) -> None: ...
