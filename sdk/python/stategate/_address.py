"""Names of functions and addresses of their instances."""

from __future__ import annotations

from typing import NamedTuple, Tuple


def split_typename(typename: str) -> Tuple[str, str]:
    """Splits "namespace/name" at its last slash. A name that has no two parts is a ValueError."""
    namespace, slash, name = typename.rpartition("/")
    if not (slash and namespace and name):
        raise ValueError(f"{typename!r}: want namespace/name")
    return namespace, name


class Address(NamedTuple):
    """One instance of a function: the function's type, "namespace/name", and an id."""

    typename: str
    id: str

    @property
    def namespace(self) -> str:
        return self.typename.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.typename.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.typename}/{self.id}"
