"""``leadconnector completion``: the script that completes commands and options in a shell."""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands and options with the tabulator key.

    \b
    bash   add to ~/.bashrc:  eval "$(leadconnector completion bash)"
    zsh    add to ~/.zshrc:   eval "$(leadconnector completion zsh)"
    fish   run once:  leadconnector completion fish \\
                        > ~/.config/fish/completions/leadconnector.fish
    """  # noqa: D301 - click reads the \b as "do not wrap"
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only this command

    script_class = get_completion_class(shell)
    assert script_class is not None  # noqa: S101 - the argument allows the known shells only
    group = ctx.find_root().command
    click.echo(script_class(group, {}, "leadconnector", "_LEADCONNECTOR_COMPLETE").source())
