"""What every command does with its command line before it begins."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from refdet.cli.messages import UsageProblem


class Command(TyperCommand):
    """A command of which no option and no argument is an empty text.

    An empty path would be the folder in which one is, and so be refused as something that was never named.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the command line, and refuse what is empty in it."""
        given = list(args)  # which is emptied as it is read
        rest = super().parse_args(ctx, args)
        texts, _, _ = self.make_parser(ctx).parse_args(args=given)
        for parameter in self.get_params(ctx):
            if _is_empty(texts.get(parameter.name)):
                raise UsageProblem(f"{_name_of(ctx)}: {_written(parameter)} must not be empty{_way_out(parameter)}")
        return rest


def _is_empty(value: Any) -> bool:
    """Whether a text is empty, or one of several."""
    return value == "" or (isinstance(value, (list, tuple)) and "" in value)


def _name_of(ctx: Any) -> str:
    """Return the command as it is called after the name of the program, such as "golden show"."""
    return str(ctx.command_path).partition(" ")[2]


def _written(parameter: Any) -> str:
    """Return how the help writes an option or an argument."""
    if parameter.param_type_name == "option":
        return str(parameter.opts[0])
    return str(parameter.metavar or parameter.name.upper()).strip("[].")


def _way_out(parameter: Any) -> str:
    return "" if parameter.required else "; leave it out, or give it a value"
