"""Commands in words: lines for /help, and docs/osc.md."""

from __future__ import annotations

from collections.abc import Sequence

from daw_bridge.commands.argument import Argument
from daw_bridge.commands.command import Access, Command, Group

OPENING = """# OSC

<!-- Made by `python -m daw_bridge.commands > docs/osc.md`; change daw_bridge/commands/table.py. -->

The server listens on UDP, 127.0.0.1:9000 unless `--osc` says otherwise. It answers to the address
that a message came from.

- **Numbers** may be sent as int or float.
- **Channels** are 1 to 16, as in a DAW. Each channel is a part with its own patch. In addresses of
  other programs (the last table) 0 is also taken, as channel 1.
- **Bundles** keep their timetags, up to 60 s ahead, to the sample: notes and settings are heard at
  that moment if the bundle comes at least the latency ahead (`latency_ms` in `/status`), otherwise
  as soon as they can be. With `--timetags taken` they are taken at that moment and heard later by
  the latency, as messages without a timetag are. All other messages act at once.
- **Questions.** A setting that is sent without arguments answers its value, on the same address:
  `/part/1/pan` is answered by `/part/1/pan 0.0`.
- **Changes** are told to who subscribes: see `/notify`.
- **OSCQuery.** The page's port answers it over HTTP: `/?HOST_INFO`, `/part/1` and so on as JSON
  with types, ranges, values and descriptions, `/part/1/pan?VALUE`. A WebSocket there (`ws://.../`)
  takes `{"COMMAND": "LISTEN", "DATA": "/part/1/pan"}`, and sends each new value as an OSC message;
  `IGNORE` ends it. With `pip install melstream[zeroconf]` surfaces find the server by themselves.
- **Push buttons** send 1 when they are pressed and 0 when they are released. `/panic` and the
  questions act when they come without an argument, or with one that is not 0. Any others are
  ignored.
- **Mistakes** are answered by `/error <address> <message>`, and change nothing.
- **Timbres** have the range of the bank's instruments, and a quarter of it more at each end;
  `/help /part/1/timbre` answers the numbers. Beyond it, the nearest value within is taken, and
  answered on the same address.
- **Help.** `/help` answers all addresses; `/help /part/1/pan` answers what this one takes.
- **Patterns** as in OSC 1.0 (`*`, `?`, `[1-3]`, `[!a]`, `{1,2}`) reach every address of a part
  that takes their arguments: `/part/*/note 60 100`, `/part/{1,2}/pan`. One packet may hold 64 of
  them and reach 1,024 addresses in all.
"""


def described(command: Command) -> tuple[str, ...]:
    """What a command does, one line for each argument, and how it answers."""
    lines = [command.help, *map(str, (*command.place, *command.arguments))]
    if command.reply:
        lines.append(f"answers on {command.reply}")
    elif Access.READ in command.access:
        lines.append("without arguments: answers its value")
    return tuple(lines)


def markdown(groups: Sequence[Group]) -> str:
    """docs/osc.md, whole."""
    return "\n".join([OPENING, *map(_section, groups)])


def _section(group: Group) -> str:
    rows = "".join(map(_row, group.commands))
    head = "| address | arguments | what it does | answer |\n|---|---|---|---|\n"
    return f"## {group.title}\n\n{head}{rows}"


def _row(command: Command) -> str:
    # Channels are explained once, above.
    place = [argument for argument in command.place if argument.name != "channel"]
    arguments = "<br>".join(map(_cell, (*place, *command.arguments)))
    answer = f"`{command.reply}`" if command.reply else ""
    if not answer and Access.READ in command.access:
        answer = "its value"
    return f"| `{command.address}` | {arguments} | {command.help} | {answer} |\n"


def _cell(argument: Argument) -> str:
    name, _, words = str(argument).partition(": ")
    return f"`{name}` {words}"
