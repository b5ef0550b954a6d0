"""The table: every command there is.

It drives OSC, /help, and docs/osc.md (`python -m daw_bridge.commands > docs/osc.md`). What is sent
is checked by the arguments stated here.
"""

from __future__ import annotations

from dataclasses import replace

from common.patch import GAIN_DB
from common.window import PARTS
from daw_bridge.commands import actions
from daw_bridge.commands.actions import Answer, Session, flat
from daw_bridge.commands.argument import Argument, FromBank, Kind
from daw_bridge.commands.command import Access, Act, Ask, Command, Files, Group
from daw_bridge.commands.reference import described
from daw_bridge.desk.settings import BEND
from daw_bridge.desk.sources import NEXT_MOVED


def find(address: str) -> tuple[Command, list[str]]:
    """The command of an address, and what is written in the places of its <names>.

    ValueError if there is none.
    """
    for command in COMMANDS:
        written = command.written(address)
        if written is not None:
            return command, written
    raise ValueError("no such address; /help lists them all")


def _help(session: Session, time: int, address: str | None) -> Answer:
    if address is None:
        return tuple(command.address for command in COMMANDS)
    command, _ = find(address)
    desk = session.desk
    of_bank = command.for_bank(list(desk.book.knobs), desk.reach, desk.book.axes)
    return command.address, *described(of_bank)


def _notify(session: Session, time: int, port: int | None, levels: int) -> Answer:
    """What a page answers: it is told all changes anyway. The OSC server acts by itself."""
    raise ValueError("only over OSC: the changes go to a port of the sender")


def _number(name: str, low: float, high: float, unit: str = "") -> Argument:
    return Argument(name, Kind.NUMBER, low, high, unit)


def _whole(name: str, low: int, high: int) -> Argument:
    return Argument(name, Kind.WHOLE, low, high)


def _patch(name: str) -> Argument:
    return Argument(name, Kind.TEXT, from_bank=FromBank.PATCH)


OWN_PATCH = Argument("patch", Kind.TEXT)
AUTHOR = Argument("author", Kind.TEXT)
TAGS = Argument("tags, with commas between them", Kind.TEXT)
SNAPSHOT = Argument("name", Kind.TEXT)
CHANNEL = _whole("channel", PARTS[0], PARTS[-1])
ANY_CHANNEL = _whole("channel", 0, PARTS[-1])
KEY = _whole("key", 0, 127)
VELOCITY = _number("velocity", 0, 127)
CONTROLLER = _whole("controller", 0, 127)
SOURCE = Argument("controller", Kind.SOURCE)
CONTROL_VALUE = _number("value", 0, 127)
NOTE_ID = Argument("id", Kind.NUMBER, optional=True)
KNOB = Argument("knob", Kind.TEXT, from_bank=FromBank.KNOB)
INDEX = Argument("coordinate", Kind.WHOLE, from_bank=FromBank.COORDINATE)
EMBEDDING = Argument("timbre", Kind.NUMBER, clipped=True, from_bank=FromBank.EMBEDDING)
REACH = Argument("value", Kind.NUMBER, clipped=True, from_bank=FromBank.REACH)
BINDING_REPLY = "/midi/binding.reply"
PRESS = Argument("press", Kind.SWITCH, optional=True, default=True)
"""The argument of a push button."""


def _event(name: str, help: str, arguments: tuple[Argument, ...], act: Act) -> Command:
    """A command below /part/<channel> that happens, and then is over."""
    address = f"/part/<channel>/{name}"
    return Command(address, help, Access.WRITE, (CHANNEL,), arguments, act, timed=True)


def _setting(
    name: str,
    help: str,
    arguments: tuple[Argument, ...],
    act: Act,
    ask: Ask,
    place: tuple[Argument, ...] = (),
) -> Command:
    """A command below /part/<channel> that sets a value, which can be asked for."""
    access = Access.READ | Access.WRITE
    address = f"/part/<channel>/{name}"
    return Command(address, help, access, (CHANNEL, *place), arguments, act, ask, timed=True)


def _step(name: str, help: str, by: int) -> Command:
    """A push button below /part/<channel>/patch that takes a neighbour of the patch."""
    return Command(
        f"/part/<channel>/patch/{name}",
        help,
        Access.TRIGGER,
        (CHANNEL,),
        (PRESS,),
        act=lambda s, time, part: (s.desk.step(part, by, time),),
        timed=True,
    )


def _question(address: str, help: str, ask: Ask) -> Command:
    """A command that only answers, also to a push button."""
    access = Access.READ | Access.TRIGGER
    return Command(address, help, access, (), (PRESS,), ask=ask, reply=f"{address}.reply")


def _alias(
    address: str,
    alias_of: str,
    place: tuple[Argument, ...],
    arguments: tuple[Argument, ...],
    act: Act,
    help: str = "",
) -> Command:
    """An address that other programs send."""
    help = help or f"The same as {alias_of}."
    access = Access.WRITE
    return Command(address, help, access, place, arguments, act, timed=True, alias_of=alias_of)


NOTES = Group(
    "Notes",
    (
        _event(
            "note",
            "Strikes a key; velocity 0 releases it. Keys 21 to 108 sound.",
            (KEY, VELOCITY),
            actions.note,
        ),
        _event(
            "cc",
            "Moves a MIDI controller.",
            (CONTROLLER, CONTROL_VALUE),
            actions.control,
        ),
        Command(
            "/panic",
            "Ends all sound at once, and drops notes that wait for their time.",
            Access.TRIGGER,
            arguments=(PRESS,),
            act=lambda s, time: s.inbox.panic(time),
        ),
    ),
)

SOUND = Group(
    "The sound of a part",
    (
        _setting(
            "patch",
            "Chooses a patch: its timbre, knobs, gain and pan.",
            (_patch("patch"),),
            lambda s, time, part, name: s.desk.patch(part, name, time),
            lambda s, part: (s.desk.settings(part).patch,),
        ),
        _step("next", "Chooses the next patch of /patch/list, and answers its name.", 1),
        _step("previous", "Chooses the patch before, and answers its name.", -1),
        _setting(
            "timbre",
            "Moves the part in the timbre space of the bank.",
            (EMBEDDING,),
            actions.timbre,
            lambda s, part: s.desk.settings(part).embedding,
        ),
        _setting(
            "timbre/<coordinate>",
            "Moves the part along one coordinate of the timbre space.",
            (REACH,),
            actions.coordinate,
            lambda s, part, i: (s.desk.settings(part).embedding[i],),
            place=(INDEX,),
        ),
        _setting(
            "knob/<knob>",
            "Turns a knob of the bank, e.g. brightness; 0.5 leaves the timbre as it is.",
            (_number("value", 0, 1),),
            lambda s, time, part, knob, value: s.desk.knob(part, knob, value, time),
            lambda s, part, knob: (s.desk.settings(part).knobs[knob],),
            place=(KNOB,),
        ),
        _setting(
            "morph",
            "Mixes two patches: 0 is the first, 1 is the second.",
            (_patch("from"), _patch("to"), _number("amount", 0, 1)),
            lambda s, time, part, a, b, amount: s.desk.morph(part, a, b, amount, time),
            actions.morph_now,
        ),
        _setting(
            "gain_db",
            "Sets the gain over the level that the patch was trained at.",
            (_number("gain_db", *GAIN_DB, "dB"),),
            lambda s, time, part, gain_db: s.desk.gain_db(part, gain_db, time),
            lambda s, part: (s.desk.settings(part).gain_db,),
        ),
        _setting(
            "pan",
            "Sets the place: -1 is left, 0 the middle, 1 right.",
            (_number("pan", -1, 1),),
            lambda s, time, part, pan: s.desk.pan(part, pan, time),
            lambda s, part: (s.desk.settings(part).pan,),
        ),
        _setting(
            "mute",
            "Silences the part: 1, or lets it be heard again: 0. Its notes go on meanwhile.",
            (_whole("mute", 0, 1),),
            lambda s, time, part, muted: s.desk.mute(part, bool(muted), time),
            lambda s, part: (int(s.desk.settings(part).muted),),
        ),
        _setting(
            "solo",
            "Solos the part: 1, or no longer: 0. While any are soloed, only they are heard.",
            (_whole("solo", 0, 1),),
            lambda s, time, part, soloed: s.desk.solo(part, bool(soloed), time),
            lambda s, part: (int(s.desk.settings(part).soloed),),
        ),
        _setting(
            "bend",
            "Bends every key of the part.",
            (_number("bend", -BEND, BEND, "semitones"),),
            lambda s, time, part, semitones: s.desk.bend(part, semitones, time),
            lambda s, part: (s.desk.settings(part).bend,),
        ),
    ),
)

PATCHES = Group(
    "Patches",
    (
        _question(
            "/patch/list", "Answers the names of all patches.", lambda s: tuple(s.desk.names)
        ),
        Command(
            "/patch/save",
            "Saves the timbre, knobs, gain and pan of a part as a patch. What you send next waits "
            "until the file is written, except notes, controllers and panic.",
            Access.WRITE,
            arguments=(
                CHANNEL,
                Argument("name", Kind.TEXT),
                Argument("overwrite", Kind.WHOLE, 0, 1, optional=True, default=0),
            ),
            act=actions.save,
            reply="/patch/save.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/delete",
            "Deletes one of your own patches. Parts that play it keep their sound. If it stood in "
            "place of a patch of the bank, that one is back.",
            Access.WRITE,
            arguments=(OWN_PATCH,),
            act=actions.delete,
            reply="/patch/delete.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/rename",
            "Renames one of your own patches.",
            Access.WRITE,
            arguments=(OWN_PATCH, Argument("new name", Kind.TEXT)),
            act=actions.rename,
            reply="/patch/rename.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/duplicate",
            "Copies a patch to one of your own.",
            Access.WRITE,
            arguments=(_patch("patch"), Argument("new name", Kind.TEXT)),
            act=actions.duplicate,
            reply="/patch/duplicate.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/export",
            "Answers the name of a patch and the content of its file.",
            Access.WRITE,
            arguments=(_patch("patch"),),
            act=actions.export_patch,
            reply="/patch/export.reply",
        ),
        Command(
            "/patch/import",
            "Adds a patch of your own from the content of its file.",
            Access.WRITE,
            arguments=(Argument("name", Kind.TEXT), Argument("content", Kind.TEXT)),
            act=actions.import_patch,
            reply="/patch/import.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/describe",
            "States the author and the tags of one of your own patches.",
            Access.WRITE,
            arguments=(OWN_PATCH, AUTHOR, TAGS),
            act=actions.describe,
            reply="/patch/describe.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/favourite",
            "Makes a patch one of your favourites: 1, or no longer: 0.",
            Access.WRITE,
            arguments=(_patch("patch"), _whole("favourite", 0, 1)),
            act=actions.favourite,
            reply="/patch/favourite.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/undo",
            "Undoes the last save, deletion or renaming since the start; answers the patches that "
            "it was about.",
            Access.TRIGGER,
            arguments=(PRESS,),
            act=lambda s, time: tuple(s.desk.undo()),
            reply="/patch/undo.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/patch/reload",
            "Reads your own patches again, as happens by itself when files come or go; answers why "
            "files were left out, if any were.",
            Access.TRIGGER,
            arguments=(PRESS,),
            act=lambda s, time: tuple(s.desk.reload()),
            reply="/patch/reload.reply",
            files=Files.CHANGE,
        ),
    ),
)

SNAPSHOTS = Group(
    "Snapshots of the desk",
    (
        _question(
            "/desk/list",
            "Answers the names of all snapshots.",
            lambda s: tuple(s.desk.snapshots.names),
        ),
        Command(
            "/desk/save",
            "Saves all parts as they stand: patch, timbre, knobs, morph, gain, pan, volume, "
            "expression, mute and solo.",
            Access.WRITE,
            arguments=(
                Argument("name", Kind.TEXT),
                Argument("overwrite", Kind.WHOLE, 0, 1, optional=True, default=0),
            ),
            act=actions.keep_desk,
            reply="/desk/save.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/desk/recall",
            "Lets all parts stand as in a snapshot. Notes sound on.",
            Access.WRITE,
            arguments=(SNAPSHOT,),
            act=actions.recall_desk,
            reply="/desk/recall.reply",
            files=Files.READ,
        ),
        Command(
            "/desk/delete",
            "Deletes a snapshot.",
            Access.WRITE,
            arguments=(SNAPSHOT,),
            act=actions.delete_desk,
            reply="/desk/delete.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/desk/undo",
            "Undoes the last save or deletion of a snapshot since the start; answers its name.",
            Access.TRIGGER,
            arguments=(PRESS,),
            act=actions.undo_desk,
            reply="/desk/undo.reply",
            files=Files.CHANGE,
        ),
    ),
)

SERVER = Group(
    "The server",
    (
        Command(
            "/help",
            "Answers all addresses; with an address, what it does and what it takes.",
            Access.READ,
            arguments=(Argument("address", Kind.TEXT, optional=True),),
            act=_help,
            reply="/help.reply",
        ),
        _question(
            "/status",
            "Answers counters and loads, as name value name value ...",
            lambda s: flat(s.status()),
        ),
        Command(
            "/notify",
            "Tells you from now on what changes, whoever changes it: every value of a part, what "
            "is learnt, the list of patches, and the counters /status/underruns, late, dropped and "
            "fault. First, everything is told as it stands. It goes to this port of your machine, "
            "or to the one you send from; 0 ends it. It also ends when nothing has come from your "
            "machine for 600 s. At most 16 may be told; each value at most 20 times a second. "
            "With levels 1 you are also told, 10 times a second, /part/<channel>/level of those "
            "that sound and /level of the mix: the peak since the last time, in dB of full scale, "
            "-120 for silence. Answers the port and the seconds.",
            Access.WRITE,
            arguments=(
                replace(_whole("port", 0, 65_535), optional=True),
                replace(_whole("levels", 0, 1), optional=True, default=0),
            ),
            act=_notify,
            reply="/notify.reply",
        ),
        _question("/version", "Answers the version of the server.", lambda s: (s.version,)),
        Command(
            "/sync",
            "Answers the id when everything sent before has been taken.",
            Access.WRITE,
            arguments=(_whole("id", -(2**63), 2**63 - 1),),
            act=lambda s, time, mark: (mark,),
            reply="/synced",
        ),
    ),
)

MIDI_LEARN = Group(
    "MIDI learn",
    (
        Command(
            "/midi/learn",
            "Lets a controller turn a knob, or something else of a part: this controller, or the "
            "next one that moves. When that has moved, you are sent /midi/learnt with the "
            "controller and the knob. part: whose knob; 0 is the part of the controller's "
            "channel. Without a knob, stops waiting for one. Answers the knob and the controller.",
            Access.WRITE,
            arguments=(
                Argument("knob", Kind.TEXT, optional=True, from_bank=FromBank.TURNABLE),
                Argument("controller", Kind.WANTED, optional=True, default=NEXT_MOVED),
                Argument("part", Kind.WHOLE, 0, PARTS[-1], optional=True, default=0),
            ),
            act=actions.learn,
            reply="/midi/learn.reply",
            files=Files.CHANGE,
        ),
        Command(
            "/midi/range",
            "Lets a learnt controller turn its knob between two values in the knob's own unit, "
            "the first at 0, the second at 127; the first may be the greater. Without them, 64 is "
            "where the patch has it, and the ends are those of the knob.",
            Access.WRITE,
            arguments=(
                SOURCE,
                Argument("from", Kind.NUMBER, optional=True),
                Argument("to", Kind.NUMBER, optional=True),
            ),
            act=actions.set_ends,
            reply=BINDING_REPLY,
            files=Files.CHANGE,
        ),
        Command(
            "/midi/curve",
            "Bends the way of a learnt controller: 0 is straight, 1 slow at first, -1 fast at "
            "first.",
            Access.WRITE,
            arguments=(SOURCE, _number("curve", -1, 1)),
            act=actions.set_curve,
            reply=BINDING_REPLY,
            files=Files.CHANGE,
        ),
        Command(
            "/midi/takeover",
            "Soft takeover: with 1, a learnt controller turns its knob only once it has reached "
            "or passed the place where that stands, and again whenever something else has moved "
            "it. With 0, the knob jumps to the controller.",
            Access.WRITE,
            arguments=(SOURCE, _whole("takeover", 0, 1)),
            act=actions.set_takeover,
            reply=BINDING_REPLY,
            files=Files.CHANGE,
        ),
        Command(
            "/midi/binding",
            "Answers what a controller turns, and how, as name value name value ...",
            Access.WRITE,
            arguments=(SOURCE,),
            act=lambda s, time, source: actions.binding(s, source),
            reply=BINDING_REPLY,
        ),
        Command(
            "/midi/forget",
            "Gives a controller back its meaning in MIDI.",
            Access.WRITE,
            arguments=(SOURCE,),
            act=actions.forget,
            reply="/midi/forget.reply",
            files=Files.CHANGE,
        ),
        _question(
            "/midi/map",
            "Answers what is learnt, as controller knob controller knob ...",
            lambda s: flat(s.desk.learnt.bound),
        ),
    ),
)

ALIASES = Group(
    "What other programs send",
    (
        _alias(
            "/vkb_midi/<channel>/note/<key>",
            "/part/<channel>/note",
            (ANY_CHANNEL, KEY),
            (VELOCITY,),
            actions.vkb_note,
        ),
        _alias(
            "/vkb_midi/<channel>/note",
            "/part/<channel>/note",
            (ANY_CHANNEL,),
            (KEY, VELOCITY),
            actions.vkb_note,
        ),
        _alias(
            "/vkb_midi/<channel>/cc/<controller>",
            "/part/<channel>/cc",
            (ANY_CHANNEL, CONTROLLER),
            (CONTROL_VALUE,),
            actions.vkb_control,
        ),
        _alias(
            "/vkb_midi/<channel>/pitch",
            "/part/<channel>/bend",
            (ANY_CHANNEL,),
            (_number("pitch", 0, 16_383),),
            actions.vkb_pitch,
            "Moves the pitch wheel; 8192 is its middle.",
        ),
        _alias(
            "/mnote",
            "/part/<channel>/note",
            (),
            (KEY, VELOCITY, NOTE_ID),
            actions.mnote,
            "The same as /part/1/note; the id is ignored.",
        ),
        _alias(
            "/mnote/rel",
            "/part/<channel>/note",
            (),
            (KEY, VELOCITY, NOTE_ID),
            actions.mnote_release,
            "Releases a key of part 1, whatever the velocity.",
        ),
    ),
)

GO_AHEAD = frozenset(command.address for command in (*NOTES.commands, *ALIASES.commands))
"""Addresses of commands that never wait for a file that their sender has had written."""

GROUPS = (NOTES, SOUND, PATCHES, SNAPSHOTS, SERVER, MIDI_LEARN, ALIASES)
COMMANDS = tuple(command for group in GROUPS for command in group.commands)
