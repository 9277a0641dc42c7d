"""Rules of a mapping for one table, whose own spellings of its columns go into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from leadconnector_async.sources.mapping import Case, FieldRule, LeaveOut, as_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from leadconnector_async.errors import SourceError
    from leadconnector_async.sources.mapping import ColumnNames, RecordKind

_T = TypeVar("_T")

_Where = TypeVar("_Where", Case, LeaveOut)


def resolved(
    kind: RecordKind, find: Callable[[str], str | None], missing: Callable[[str, str], SourceError]
) -> RecordKind:
    """Put a table's own spellings of its columns into the rules.

    Of several columns those that are not there are dropped; a single one has to be there.

    Raises:
        SourceError: as ``missing`` makes it of a field and a column.
    """

    def named(rules: Mapping[str, _T]) -> dict[str, _T]:
        return {found: rule for name, rule in rules.items() if (found := find(name))}

    def spelled(field: str, columns: ColumnNames) -> ColumnNames:
        if isinstance(columns, str):
            found = find(columns)
            if found is None:
                raise missing(field, columns)
            return found
        return [found for column in columns if (found := find(column)) is not None]

    def known(rules: Iterable[_Where]) -> Iterator[_Where]:
        """Drop rules on columns that are not there: nobody can tell what they hold."""
        return (rule for rule in rules if all(find(name) for name in rule.where))

    def spelled_rules(rules: Iterable[LeaveOut]) -> list[LeaveOut]:
        return [
            replace(rule, where=named(rule.where), but=named(rule.but)) for rule in known(rules)
        ]

    fields = {
        field: replace(
            rule,
            column=spelled(field, rule.column),
            join=_all_of(rule.join, find),
            maybe=as_list(spelled(field, list(rule.maybe))),
            flags=named(rule.flags),
            present=named(rule.present),
            inbound=spelled(field, rule.inbound),
            outbound=spelled(field, rule.outbound),
            before=as_list(spelled(field, list(rule.before))),
            cases=[replace(case, where=named(case.where)) for case in known(rule.cases)],
        )
        for field, rule in kind.fields.items()
    }
    return replace(
        kind,
        fields=fields,
        skip=named(kind.skip),
        leave_out=spelled_rules(kind.leave_out),
        without_content=spelled_rules(kind.without_content),
        not_carried=named(kind.not_carried),
    )


def with_columns(kind: RecordKind, mapping: Mapping[str, str]) -> None:
    """Let the columns that a user names for fields go before what the mapping says of these.

    Of a field that is mapped to nothing, what the mapping says without a column stays.
    """
    for field, column in mapping.items():
        known = kind.fields.get(field, FieldRule())
        off = FieldRule(constant=known.constant, default=known.default)
        kind.fields[field] = FieldRule(column=column) if column else off


def _all_of(names: list[str], find: Callable[[str], str | None]) -> list[str]:
    found = [find(name) for name in names]
    return [] if None in found else [name for name in found if name]
