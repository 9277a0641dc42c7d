"""Rows of other systems' exports, by the rules of a mapping."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from leadconnector_async.sources import fields
from leadconnector_async.sources.fields import FINDERS, NotedText, WrongValueError, stripped
from leadconnector_async.sources.mappings import rules
from leadconnector_async.sources.mappings.columns import FieldPlan, empty_values
from leadconnector_async.sources.mappings.mapping import FieldRule, NotCarried, as_list
from leadconnector_async.sources.mappings.row_contact import RowContact, spread
from leadconnector_async.sources.mappings.rules import Cell, Row, first_met, word_of
from leadconnector_async.sources.values.date_patterns import LocalText

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leadconnector_async.sources.mappings.chat_sides import ChatSides
    from leadconnector_async.sources.mappings.mapping import Definition, RecordKind

    Values = dict[str, object]

DIRECTION: Final = "direction"
PHONE: Final = "contact.phone"

_TRUE: Final = frozenset({"true", "yes", "y", "t", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "f", "0"})
_NOTHING: Final = frozenset(
    ("false", "pt0s", "0s", "0 sec", "0 min", "0m 0s", "0h 0m 0s", "n/a", "none", "null", "nan")
)

_CALLS: Final = frozenset({"Call", "IVR_Call", "Campaign_Call", "Campaign_VoiceMail"})
_CONTENT: Final = fields.BODY_FIELDS | {"attachments"}


class RowMapper:
    """Reads rows of one kind, given by the names of their columns."""

    def __init__(self, kind: RecordKind, definition: Definition, sides: ChatSides) -> None:
        empty = empty_values(definition.empty)
        self._skip = {column: frozenset(values) for column, values in kind.skip.items()}
        self._leave_out = rules.left_out_by(kind.leave_out, empty)
        self._without_content = rules.left_out_by(kind.without_content, empty)
        self._not_carried = {
            column: NotCarried(rule) if isinstance(rule, str) else rule
            for column, rule in kind.not_carried.items()
        }
        self._notes = {name: rule for name, rule in self._not_carried.items() if rule.note}
        self._empty = empty
        self._sides, self._contacts = sides, sides.contacts
        self._chat = kind.chat
        self._person = RowContact(sides.contacts, kind.fields)
        plans = {
            field: FieldPlan(field, rule, empty, self._make(field, rule))
            for field, rule in kind.fields.items()
        }
        self._missing = [plan for plan in plans.values() if plan.rule.missing is not None]
        self._direction = plans.pop(DIRECTION, None)
        state = plans.get("call.status")
        self._call_state = state if state is not None and state.rule.maybe else None
        self._type = kind.fields.get("type", FieldRule())
        told = {*as_list(self._type.column), *kind.fields.get(DIRECTION, FieldRule()).maybe}
        self._states = [name for name in state.rule.maybe if name not in told] if state else []
        self._can_be_several = kind.fields.get("emailTo", FieldRule()).several
        self._is_stateless = False
        self._told: list[str] = []
        self._texts = as_list(kind.fields.get("message", FieldRule()).column)
        whom = kind.fields.get("contact.phone", FieldRule())
        self._ends = as_list(whom.inbound), as_list(whom.outbound)
        mail = kind.fields.get("contact.email", FieldRule())
        self._mail_ends = as_list(mail.inbound), as_list(mail.outbound)
        self._plans = [
            (plan, self._value if plan.is_composed else self._simple)
            for plan in plans.values()
            if plan.rule != FieldRule()
        ]

    def skipped(self, row: Row) -> str | None:
        """Say why a row is left out."""
        for column, values in self._skip.items():
            if (value := word_of(row, column)) in values:
                return f'rows whose "{column}" is "{value}"'
        return first_met(self._leave_out, row, self._is_received, self._type)

    def _is_received(self, row: Row) -> bool:
        plan = self._direction
        return plan is not None and self._told_direction(plan, row) == "inbound"

    def without_content(self, row: Row) -> str | None:
        """Say why a row is left out that has neither text nor files."""
        return first_met(self._without_content, row, self._is_received, self._type)

    def not_carried(self, row: Row, values: Mapping[str, object]) -> tuple[str | None, list[str]]:
        """Say why a row is left out that has nothing to send, and what of it is not sent."""
        told: list[str] = []
        for column, rule in self._not_carried.items():
            if not self._is_filled(row.get(column, "")) or rule.unless in values:
                continue
            if rule.note is not None and isinstance(values.get("message"), NotedText):
                continue
            if rule.alone is not None and _CONTENT.isdisjoint(values):
                return rule.alone, []
            if rule.told not in told:
                told.append(rule.told)
        return None, told

    def read(self, row: Row) -> tuple[Values, str | None, list[str]]:
        """Make the values of a row, say why it is left out, and what of it is not sent."""
        self._sides.chat = []
        if (reason := self.skipped(row)) is not None:
            self._sides.note_group(self._chat, row)
            return {}, reason, []
        direction = (values := self.values(row)).get(DIRECTION)
        if self._chat is not None and self._sides.noted(self._chat, row, direction):
            return {}, "", []
        # The whole file is read once more only where it has to tell.
        if self._chat is not None and (direction is None or FINDERS.isdisjoint(values)):
            values = self._sides.of(self._chat, row, values) | values
        reason, told = self.not_carried(row, values)
        told += self._told + [fields.notice("call_states")] * self._is_stateless
        return values, reason, told

    def values(self, row: Row) -> Values:
        """Make the values of a row; those that cannot be made are `WrongValueError`."""
        plan_of = self._direction
        direction = None if plan_of is None else self._told_direction(plan_of, row)
        values: Values = {} if direction is None else {DIRECTION: direction}
        for plan, read in self._plans:
            value = read(plan, row, direction)
            if value is not None:
                values[plan.field] = value
        is_several = self._can_be_several and spread(values, self._contacts.is_own)
        self._told = [fields.notice("several_recipients")] if is_several else []
        self._told += self._person.settle(values, row)
        for plan in self._missing:
            others = FINDERS if plan.field in FINDERS else {plan.field}
            if others.isdisjoint(values):
                values[plan.field] = WrongValueError("is missing", plan.rule.missing or "")
        kind = values.get("type")
        if self._notes and kind == "Call":
            self._note(row, values)
        self._settle_kind(kind, row, values)
        self._told += rules.without_mail(values)
        return values

    def _settle_kind(self, kind: object, row: Row, values: Values) -> None:
        """Take no guess for the type of what an address alone is with, nor for a call's state."""
        is_mail = "contact.email" in values and (PHONE not in values or "subject" in values)
        if is_mail and kind == "SMS" == self._type.default and self._is_guess(row):
            values["type"] = "Email" if "subject" in values else fields.wrong_value("mail_or_sms")
            if PHONE in values:
                values["type"] = fields.wrong_value("mail_or_text")
        of_calls = self._type.present
        if kind == "Call" and of_calls and type(values.get("message")) is str:
            is_mixed = not row.keys().isdisjoint(self._texts)  # texts may have durations of 0
            said = (one for one in of_calls if not is_mixed or self._is_filled(row.get(one, "")))
            if self._is_guess(row, *said):
                values["type"] = fields.wrong_value("call_or_text")
        # What may be the status of a call is that of something else.
        state = None if kind in _CALLS else self._call_state
        if state is not None and self._cell(state.columns[None], row) is None:
            values.pop(state.field, None)
        is_lost = kind in _CALLS and "call.status" not in values
        self._is_stateless = is_lost and any(word_of(row, name) for name in self._states)

    def _is_guess(self, row: Row, *filled: str) -> bool:
        """Tell a type that no word of the row says, nor what it has in other columns."""
        words = self._type.words
        texts = (word_of(row, name) for name in (*as_list(self._type.column), *self._type.maybe))
        said = any(rules.meant_by(words, text) if words else text for text in texts if text)
        others = {word_of(row, name).casefold() for name in filled}
        return not said and others <= {"", "false", "no"}

    def _note(self, row: Row, values: Values) -> None:
        """Put beneath the text of a call what the API has no field for."""
        cells = ((rule, row.get(column, "")) for column, rule in self._notes.items())
        notes = {
            f"{rule.note}: {rules.amount_of(str(text).strip(), rule.unit)}": rule.told
            for rule, cell in cells
            if self._is_filled(cell)
            for text in ([cell] if isinstance(cell, str) else cell)
        }
        own = values.get("message")
        if notes and (own is None or isinstance(own, str)):
            values["message"] = NotedText.of(own, notes)

    def _columns(self, plan: FieldPlan, row: Row, direction: object) -> list[str]:
        """Name the columns of a value. One with the owner's own number is none, beside others."""
        columns = plan.columns.get(direction, plan.columns[None])
        if plan.rule.instead and row.keys().isdisjoint(columns):
            return plan.rule.instead
        if plan.field != PHONE or len(columns) == 1 or not self._contacts.own:
            return columns
        return [one for one in columns if not self._contacts.is_own(word_of(row, one))] or columns

    def _told_direction(self, plan: FieldPlan, row: Row) -> object:
        """Tell the direction by its column, or where one side alone is a number of the owner's."""
        direction = self._value(plan, row, None)
        ends = self._ends
        if direction is None:  # that of mails goes before what their addresses tell
            ends = self._ends[0] + self._mail_ends[0], self._ends[1] + self._mail_ends[1]
        sides = [self._cell(columns, row) for columns in ends if self._contacts.own]
        own = [isinstance(text, str) and self._contacts.is_own(text) for text in sides]
        if own in ([], [False, False], [True, True]):
            senders = [word_of(row, column) for column in plan.rule.sender]
            kinds = (rules.meant_by(plan.rule.senders, sender) for sender in senders)
            return direction or next(filter(None, kinds), None)
        known = "outbound" if own[0] else "inbound"
        if direction in ("inbound", "outbound") and direction != known:
            return fields.wrong_value("other_direction", given=direction, known=known)
        return direction or known

    def _simple(self, plan: FieldPlan, row: Row, direction: object) -> object:
        """Make the value of nothing but a column's text, where nothing is wrong with it."""
        for column in self._columns(plan, row, direction):
            cell = row.get(column, "")
            if type(cell) is not str:
                break
            if (text := plan.clean(cell)) in plan.empty:
                continue
            if plan.is_plain:
                return text
            for prefix in plan.rule.strip:
                text = text.removeprefix(prefix)
            try:
                made = self._made(plan, text)
            except WrongValueError:
                break
            if made == "":
                break
            return made
        else:
            return plan.rule.default
        return self._value(plan, row, direction)

    def _value(self, plan: FieldPlan, row: Row, direction: object) -> object:
        rule = plan.rule
        if (fixed := rule.constant if not rule.cases else rules.settled(rule, row)) is not None:
            return fixed or None
        columns = self._columns(plan, row, direction)
        if plan.is_list:
            cells = [one for name in columns if (one := self._cell((name,), row, plan)) is not None]
            by = rule.separator or ";"
            lists = (rules.parts_of(cell, by) if isinstance(cell, str) else cell for cell in cells)
            named = (rules.named_file(rule, item) for items in lists for item in items)
            return rules.unique(named) or rule.default
        parts = [self._cell(as_list(names), row, plan) for names in rule.join]
        whole = rules.joined(parts, is_date=plan.field == "date") if parts else None
        found = whole or self._cell(columns, row, plan)
        if rule.glue is not None and isinstance(found, list | tuple):
            # An item is text, or an object that also says how it looks.
            texts = (one.get("text", "") if isinstance(one, dict) else one for one in found)
            found = rule.glue.join(map(str, texts)) or None
        cell = self._one_of(plan, found) if isinstance(found, list | tuple) else found
        if isinstance(cell, WrongValueError):
            return cell
        if rule.before:
            cell = self._after(rule.before, cell or "", row)
        if cell is None:
            return self._known(rule, row)
        for prefix in rule.strip:
            cell = cell.removeprefix(prefix)
        try:
            made = self._made(plan, cell)
        except WrongValueError as error:
            return WrongValueError(error.wrong, error.fix + plan.or_map(row), cell, kind=error.kind)
        return self._known(rule, row) if made == "" else made

    def _one_of(
        self, plan: FieldPlan, texts: list[object] | tuple[str, ...]
    ) -> str | WrongValueError | None:
        """Take the one of several texts, of which the owner's own numbers are none."""
        if isinstance(texts, list):
            return fields.wrong_value("whole_list", kind_of=fields.kind_of(texts))
        person = plan.field in FINDERS
        found = self._contacts.others(texts) if person else [*dict.fromkeys(texts)]
        if person and len(found) > 1:
            fix = "give --mine with your own number, if it is one of them, or --leave-out groups"
            return WrongValueError("names several people", fix, "; ".join(found), kind="groups")
        return "; ".join(found) or None

    def _after(self, columns: list[str], own: str, row: Row) -> str | None:
        texts = [str(text) for name in columns if (text := self._cell((name,), row))]
        links = [word for word in own.split() if "://" in word]
        others = [text for text in texts if text.strip() not in (own.strip(), *links)]
        return "\n".join([*others, own] if own else others) or None

    def _known(self, rule: FieldRule, row: Row) -> object:
        """Find the value in columns of true or false, or of some words alone; else the default."""
        for column, meant in rule.flags.items():
            if (flag := word_of(row, column).casefold()) in _TRUE:
                return meant
            if flag in _FALSE:
                return "outbound" if meant == "inbound" else "inbound"
            if flag and word_of(row, column) not in self._empty:
                return fields.wrong_value("no_flag", flag=fields.quoted(flag))
        names = (name for name in (*rule.maybe, *as_list(rule.column)) if name in row)
        for text in filter(None, (word_of(row, name) for name in names)):
            begins = (of for prefix, of in rule.prefixes.items() if text.startswith(prefix))
            if found := rules.meant_by(rule.words, text) or next(begins, None):
                return found
        return next((rule.present[name] for name in rule.present if name in row), rule.default)

    def _cell(self, columns: Sequence[str], row: Row, plan: FieldPlan | None = None) -> Cell | None:
        """Give the first of the columns that is filled."""
        clean, empty = (stripped, self._empty) if plan is None else (plan.clean, plan.empty)
        for column in columns:
            cell = row.get(column, "")
            if isinstance(cell, str):
                if (cell := clean(cell)) in empty:
                    continue
                if plan is not None and column in plan.zones:
                    return LocalText.of(cell, plan.zones[column])
            return cell
        return None

    def _made(self, plan: FieldPlan, text: str) -> object:
        for kind, words in plan.kinds:
            if words.match(text):
                told = fields.wrong_value(kind)
                fix = f"{told.fix}, or leave such out: --leave-out {kind}"
                raise WrongValueError(told.wrong, fix, kind=kind)
        return text if plan.make is None else plan.make(text)

    def _make(self, field: str, rule: FieldRule) -> Callable[[str], object] | None:
        if rule.words:
            return partial(rules.translated, rule.words)
        if rule.prefixes:
            longest_first = sorted(rule.prefixes.items(), key=lambda one: -len(one[0]))
            return partial(rules.by_prefix, longest_first)
        if field == "date" or rule.formats or rule.zone:
            return partial(rules.date_of, rule)
        return self._phone if rule.phone else None

    def _phone(self, text: str) -> str | None:
        try:
            return self._contacts.phone(text)
        except WrongValueError as error:  # such as client:kim, or a number of the own system
            return None if error.kind == "withheld" else text

    def _is_filled(self, cell: Cell) -> bool:
        """Tell what holds something. A count or a duration of nothing is none."""
        if not isinstance(cell, str):
            return True
        text = cell.strip()
        is_nothing = not text.strip("0.:-") or text.casefold() in _NOTHING
        return not is_nothing and text not in self._empty
