from __future__ import annotations

import io
import json
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from cli_harness import leadconnector, sms, write_jsonl
from click import BadParameter, Context, FloatRange, Group, Option, echo

from leadconnector_async import __version__
from leadconnector_async.cli import options
from leadconnector_async.cli.app import COMMANDS, app, written_whole

if TYPE_CHECKING:
    from typing_extensions import Buffer

HEAVY = {"aiohttp", "asyncio", "jinja2", "msgspec", "orjson", "rich", "sqlite3", "zoneinfo"}

COMMAND = (sys.executable, "-m", "leadconnector_async.cli")


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    """So that it comes without a noticeable delay."""
    words = [["--help"], ["--version"], ["import", "--help"], ["report", "--help"]]
    run = python(
        "import sys, json, contextlib, io\n"
        "from leadconnector_async.cli import main\n"
        f"for sys.argv[1:] in {words!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main()\n"
        "    print(json.dumps(sorted(sys.modules)))"
    )
    loaded = [json.loads(line) for line in run.stdout.splitlines()]
    assert [HEAVY & set(modules) for modules in loaded] == [set()] * len(words), run.stderr


def test_without_click_it_says_what_to_install() -> None:
    """One line, exit 1."""
    run = python(
        "import sys; sys.modules['click'] = None\nfrom leadconnector_async.cli import main; main()"
    )
    assert run.returncode == 1
    assert run.stderr == (
        "leadconnector: click is missing: pip install 'leadconnector-async[cli]'\n"
    )


@pytest.mark.slow
def test_jinja_is_imported_where_a_page_is_made() -> None:
    """By no command, whatever else it imports, before it makes one."""
    modules = [module for name, (module, _) in COMMANDS.items() if name != "completion"]
    run = python(
        f"import sys, importlib\nfor module in {modules!r}:\n"
        "    found = importlib.import_module(f'leadconnector_async.cli.commands.{module}')\n"
        "    print('jinja2' in sys.modules, bool(found.command))"
    )
    assert run.stdout == "False True\n" * len(modules), run.stderr


def test_without_jinja_the_report_says_what_to_install(tmp_path: Path) -> None:
    """One line, exit 1, and no page."""
    page = tmp_path / "page.html"
    run = python(
        "import sys; sys.modules['jinja2'] = None\nfrom leadconnector_async.cli import main\n"
        f"sys.argv[1:] = ['report', '--outbox', 'o.db', '--html', {str(page)!r}]; main()"
    )
    assert run.returncode == 1
    wrong = "leadconnector: --html: needs the package jinja2"
    assert run.stderr == f"{wrong}: pip install 'leadconnector-async[cli]'\n"
    assert not page.exists()


def test_without_rich_progress_is_lines() -> None:
    """The bar is a comfort, not a need."""
    run = python(
        "import sys; sys.modules['rich'] = None\n"
        "from leadconnector_async.cli import progress_display\n"
        "sys.stderr.isatty = lambda: True\n"
        "print(type(progress_display.choose_display(quiet=False, color=True)).__name__)"
    )
    assert run.stdout == "LineDisplay\n", run.stderr


def test_the_module_is_the_command() -> None:
    """``python -m leadconnector_async.cli``."""
    run = subprocess.run(
        [sys.executable, "-m", "leadconnector_async.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"leadconnector, version {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """-h is --help, and each option has an environment variable, which its help names."""
    run = leadconnector(command, "-h")
    assert run.exit_code == 0
    assert leadconnector(command, "--help").stdout == run.stdout
    found = app.get_command(Context(app), command)
    assert found is not None
    shown = run.stdout.replace("\n", "").replace(" ", "")
    for option in found.params:
        if isinstance(option, Option):
            longest = max(option.opts, key=len)
            variable = f"LEADCONNECTOR_{longest[2:].replace('-', '_').upper()}"
            assert option.envvar == variable
            assert variable in shown


def test_every_option_that_is_declared_is_one_of_a_command() -> None:
    """The table of options holds none that nobody can give."""
    declared = tomllib.loads(Path(options.__file__).with_suffix(".toml").read_text("utf-8"))
    commands = [found for name in COMMANDS if (found := app.get_command(Context(app), name))]
    groups = [group.commands.values() for group in commands if isinstance(group, Group)]
    every = [*commands, *(one for group in groups for one in group)]
    given = {opt for one in every for option in one.params for opt in option.opts}
    assert {f"--{long}" for table in declared.values() for long in table} <= given


@pytest.mark.parametrize("command", COMMANDS)
def test_a_time_is_a_number_that_is_one(command: str) -> None:
    """Of every option that takes one: ``nan`` is within any bounds, and ``inf`` never over."""
    found = app.get_command(Context(app), command)
    assert found is not None
    times = [one for one in found.params if isinstance(one.type, FloatRange)]
    for one, text in product(times, ("nan", "inf")):
        with pytest.raises(BadParameter, match=f"'{text}' is no time") as caught:
            one.type_cast_value(Context(found), text)
        assert caught.value.exit_code == 2
        assert caught.value.param is one


def test_an_outbox_is_no_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` means one everywhere else; here it made a file of that name, which shells hide well."""
    monkeypatch.chdir(tmp_path)
    source = write_jsonl(tmp_path / "in.jsonl", [sms(1)])
    every = ("import", source, "--sandbox"), ("doctor",), ("status",), ("outbox", "check")
    for words, name in product(every, ("-", ":memory:")):
        run = leadconnector(*words, "--outbox", name)
        assert run.exit_code == 2
        assert "'--outbox'" in run.stderr
        assert "no outbox is a stream" in run.stderr
    run = leadconnector("outbox", "backup", "--outbox", source, "-o", "-")
    assert (run.exit_code, "no outbox is a stream" in run.stderr) == (2, True)
    assert [*tmp_path.iterdir()] == [source]


def test_options_of_commands_within_commands_are_named_by_their_long_form() -> None:
    """Whichever form is declared first."""
    group = app.get_command(Context(app), "outbox")
    assert isinstance(group, Group)
    options = [one for each in group.commands.values() for one in each.params]
    assert "LEADCONNECTOR_OUTPUT" in {option.envvar for option in options}
    assert not any(str(option.envvar).startswith("LEADCONNECTOR__") for option in options)


def test_the_group_lists_its_commands_and_exit_codes() -> None:
    """In the order in which people meet them."""
    run = leadconnector("--help")
    positions = [run.stdout.index(f"  {name} ") for name in COMMANDS]
    assert positions == sorted(positions)
    assert "130 interrupted" in " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["imprt", "x.csv"], "Did you mean leadconnector import?"),
        (["Status"], "Did you mean leadconnector status?"),
        (["x.csv"], "No such command 'x.csv'. Did you mean leadconnector import FILE?"),
        (["bananas"], "No such command 'bananas'.\n"),
        (["--sandbox", "import", "x.csv"], "Options stand behind the command"),
    ],
)
def test_a_wrong_word_is_told_with_what_may_be_meant(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt command, a file in its place, and an option that stands before it."""
    (tmp_path / "x.csv").touch()
    monkeypatch.chdir(tmp_path)
    run = leadconnector(*words)
    assert run.exit_code == 2
    assert said in run.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    """Which asks the command itself."""
    run = leadconnector("completion", shell)
    assert run.exit_code == 0
    assert "_LEADCONNECTOR_COMPLETE" in run.stdout


def test_the_shell_is_told_commands_and_options() -> None:
    """As the script asks for them."""
    run = subprocess.run(
        [sys.executable, "-m", "leadconnector_async.cli"],
        env={
            "_LEADCONNECTOR_COMPLETE": "bash_complete",
            "COMP_WORDS": "leadconnector import --on",
            "COMP_CWORD": "2",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--on-unknown" in run.stdout, run.stderr


class TakingLittle(io.RawIOBase):
    """The raw end of a pipe whose calls are interrupted: it takes a few bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer) -> int:
        """Take some."""
        some = bytes(data)[:7]
        self.taken += some
        return len(some)


def test_output_that_is_not_buffered_is_written_whole() -> None:
    """Containers set PYTHONUNBUFFERED; a report in JSON then ended in the middle, with status 0."""
    raw = TakingLittle()
    made: Any = io.TextIOWrapper(cast("Any", raw), "utf-8", write_through=True)
    stream = written_whole(made)
    echo("a report in JSON " * 100, stream)
    assert raw.taken == b"a report in JSON " * 100 + b"\n"
    assert written_whole(stream) is stream


def onto_a_full_device(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose output cannot be written."""
    return subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" > /dev/full', "sh", *COMMAND, *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize(
    "words",
    [["--version"], ["--help"], ["import", "--help"], ["completion", "bash"], ["--json"]],
    ids=str,
)
def test_output_that_cannot_be_written_is_an_error(tmp_path: Path, words: list[str]) -> None:
    """In one line, with status 1, also of more than a buffer: a report was not given."""
    if words == ["--json"]:
        source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
        words = ["import", str(source), "--sandbox", "--outbox", str(tmp_path / "o.db"), *words]
    run = onto_a_full_device(*words)
    assert run.returncode == 1
    assert run.stderr == (
        "leadconnector: standard output cannot be written (No space left on device): make room, or "
        "send it elsewhere\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("words", [["failed"], ["report", "--html", "-"]])
def test_a_list_or_page_that_cannot_be_written_is_an_error(
    tmp_path: Path, words: list[str]
) -> None:
    """Both what fits into a buffer and what does not: in one line, with status 1."""
    source, outbox = write_jsonl(tmp_path / "h.jsonl", [sms(1, date=None)]), tmp_path / "o.db"
    assert leadconnector("import", source, "--sandbox", "--outbox", outbox).exit_code == 3
    run = onto_a_full_device(*words, "--outbox", str(outbox))
    assert run.returncode == 1
    assert run.stderr == (
        "Error: standard output cannot be written (No space left on device): make room, or choose "
        "another file\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("ends", ["2> /dev/full", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_an_import_needs_nobody_who_reads_it(tmp_path: Path, ends: str) -> None:
    """A log on a full disk, or streams that are closed, whose numbers sockets would get."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction="sideways")])
    words = ("import", str(source), "--sandbox", "--outbox", str(tmp_path / "o.db"))
    run = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {ends}', "sh", *COMMAND, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3
    assert ("failed" in run.stdout) is (">&-" not in ends or ends == "2>&-")
    assert "Traceback" not in run.stderr
