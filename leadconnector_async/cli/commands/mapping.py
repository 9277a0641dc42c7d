"""``leadconnector mapping``: what helps to write a mapping.

The examples that a mapping holds are read with it, and what it makes of them is laid beside what it
should.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import click
import msgspec

from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import say
from leadconnector_async.errors import SourceError
from leadconnector_async.sources.base import Parsed, SourceOptions
from leadconnector_async.sources.exports import open_source
from leadconnector_async.sources.fields import flat
from leadconnector_async.sources.mappings.mapping import Example
from leadconnector_async.sources.mappings.mapping_files import load_examples, load_mapping


@click.group("mapping")
def command() -> None:
    """Work on mappings, which say how another system's export is read."""


@command.command("test")
@click.argument("mappings", metavar="FILE...", nargs=-1, required=True)
@click.pass_context
def test(ctx: click.Context, mappings: tuple[str, ...]) -> None:
    """Run the examples that a mapping holds, and compare the records that it makes of them.

    A mapping is a TOML file, or one that comes with the library, by its name. Exit status 0: all
    agree. Else each difference is shown with its example, record and field.
    """
    good = True
    for name in mappings:
        count, told = differences(name)
        for line in told:
            say(f"{name}: {line}", err=True)
        if not count:
            say(f"{name}: holds no example: add [[examples]], as docs/mappings.md says", err=True)
        elif not told:
            say(f"{name}: {count} example{'s' * (count > 1)} agree{'s' * (count == 1)}")
        good = good and count > 0 and not told
    ctx.exit(Exit.DONE if good else Exit.ERROR)


def differences(name: str) -> tuple[int, list[str]]:
    """Count the examples of a mapping, and say where they disagree with it, field by field.

    Raises:
        SourceError: the mapping cannot be read.
    """
    load_mapping(name)
    examples = load_examples(name)
    numbered = enumerate(examples, 1)
    return len(examples), [f"example {n}: {told}" for n, of in numbered for told in _told(name, of)]


def _told(name: str, example: Example) -> Iterator[str]:
    try:
        made = _made(name, example)
    except SourceError as error:
        yield str(error)
        return
    if len(made) != len(example.makes):
        yield f"makes {len(made)} records, not {len(example.makes)}"
    wanted = [flat(msgspec.to_builtins(record)) for record in example.makes]
    nothing: dict[str, object] = {}
    for number, (have, want) in enumerate(zip_longest(made, wanted, fillvalue=nothing), 1):
        for field in dict.fromkeys((*want, *have)):
            found, meant = have.get(field), want.get(field)
            if found != meant:
                yield f"record {number}: {field} is {_shown(found)}, and should be {_shown(meant)}"


def _made(name: str, example: Example) -> list[dict[str, object]]:
    zone = None if example.timezone is None else ZoneInfo(example.timezone)
    mine, region = tuple(example.mine), example.region
    options = SourceOptions(mapping_file=name, region=region, timezone=zone, mine=mine)
    with TemporaryDirectory() as folder:
        path = Path(folder, "example")
        path.write_text(example.given.lstrip("\n"), "utf-8", newline="")
        try:
            with open_source(str(path), options) as source:
                return [_record(parsed) for parsed in source]
        except SourceError as error:
            raise SourceError(str(error).replace(str(path), "it")) from error


def _record(parsed: Parsed) -> dict[str, object]:
    record: dict[str, object] = {}
    if parsed.row is not None:
        made = msgspec.to_builtins(parsed.row, builtin_types=(), enc_hook=str)
        record = {name: value for name, value in flat(made).items() if value is not None}
    elif parsed.left_out is not None:
        record["left_out"] = parsed.left_out
    else:
        record["refused"] = [problem.field for problem in parsed.problems]
    if parsed.notices:
        record["notices"] = list(parsed.notices)
    return record


def _shown(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()
