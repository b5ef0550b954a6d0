"""OSCQuery over real HTTP: what it says is what OSC takes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from pythonosc.osc_message import OscMessage
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from daw_bridge.commands.argument import check_all
from daw_bridge.commands.query import find_node, tree
from daw_bridge.commands.table import find
from page.query import MOST_LISTENERS, Query
from tests.page.test_server import Instrument
from tests.toy_bank import make_toy_bank
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    made = Instrument(make_toy_bank(tmp_path_factory.mktemp("bank") / "toy"))
    yield made
    made.server.close()


def asked(instrument: Instrument, path: str) -> dict:
    status, said, headers = instrument.get(path, Accept="*/*")
    assert status == 200 and headers["content-type"] == "application/json"
    return json.loads(said)


def test_a_surface_learns_what_there_is(instrument):
    root = asked(instrument, "/")
    assert root["FULL_PATH"] == "/" and "part" in root["CONTENTS"]
    parts = asked(instrument, "/part")["CONTENTS"]
    assert sorted(map(int, parts)) == list(range(1, 17))
    pan = asked(instrument, "/part/3/pan")
    assert pan["TYPE"] == "f" and pan["ACCESS"] == 3 and pan["VALUE"] == [0.0]
    assert pan["RANGE"] == [{"MIN": -1, "MAX": 1}] and "middle" in pan["DESCRIPTION"]
    note = asked(instrument, "/part/3/note")
    assert note["TYPE"] == "if" and note["ACCESS"] == 2 and "VALUE" not in note
    patch = asked(instrument, "/part/3/patch")
    assert patch["RANGE"] == [{"VALS": instrument.desk.names}]
    assert patch["VALUE"] == [instrument.desk.names[0]]


def test_values_are_those_of_now_and_can_be_asked_for_alone(instrument):
    instrument.desk.knob(2, "brightness", 0.75)
    assert asked(instrument, "/part/2/knob/brightness?VALUE") == {"VALUE": [0.75]}
    assert asked(instrument, "/part/2/knob/brightness?TYPE") == {"TYPE": "f"}
    assert len(asked(instrument, "/part/2/timbre?VALUE")["VALUE"]) == 2
    # A part that is on no morph has no value of one.
    assert instrument.get("/part/2/morph?VALUE", Accept="*/*")[0] == 204


def test_what_is_not_there_is_told(instrument):
    status, said, _ = instrument.get("/part/17/pan", Accept="*/*")
    assert status == 404 and "/part/17/pan: no such address" in said
    status, said, _ = instrument.get("/part/1/pan?CRITICAL", Accept="*/*")
    assert status == 400 and "expected one of HOST_INFO, VALUE" in said


def test_the_host_says_where_osc_goes(instrument):
    info = asked(instrument, "/?HOST_INFO")
    assert info["NAME"] == "melstream" and info["EXTENSIONS"]["VALUE"] is True
    assert info["EXTENSIONS"]["LISTEN"] is True and "OSC_PORT" not in info
    query = Query(instrument.application._session, ("127.0.0.1", 9000), Path("index.html"))
    told = query._host_info()
    assert (told["OSC_IP"], told["OSC_PORT"], told["OSC_TRANSPORT"]) == ("127.0.0.1", 9000, "UDP")


def heard(socket: ClientConnection, wait_s: float = PATIENCE_S) -> tuple[str, list]:
    """The next OSC message that a surface is sent."""
    content = socket.recv(wait_s)
    assert isinstance(content, bytes)
    message = OscMessage(content)
    return message.address, message.params


def say(socket: ClientConnection, command: str, address: object) -> None:
    socket.send(json.dumps({"COMMAND": command, "DATA": address}))


def test_a_surface_follows_what_it_listens_to(instrument):
    desk = instrument.desk
    with instrument.socket("") as surface:
        say(surface, "LISTEN", "/part/4/pan")
        say(surface, "LISTEN", "/part/4/knob/brightness")
        say(surface, "LISTEN", "/part/4/morph")  # which it is not on yet
        assert {heard(surface)[0] for _ in range(2)} == {"/part/4/pan", "/part/4/knob/brightness"}
        desk.pan(4, -0.5)
        assert heard(surface) == ("/part/4/pan", [-0.5])
        desk.pan(5, 1.0)
        desk.morph(4, desk.names[0], desk.names[1], 0.25)
        # A morph turns knobs, too.
        told = dict(heard(surface) for _ in range(2))
        assert told["/part/4/morph"] == [*desk.names[:2], 0.25]
        say(surface, "IGNORE", "/part/4/pan")
        for nonsense in ("{", "[]", '{"COMMAND": "LISTEN"}', '{"COMMAND": 1, "DATA": []}'):
            surface.send(nonsense)
        desk.gain_db(4, -3.0)
        say(surface, "LISTEN", "/part/4/gain_db")
        while heard(surface) != ("/part/4/gain_db", [-3.0]):
            pass  # as it stood before
        desk.pan(4, 0.5)
        desk.gain_db(4, 0.0)
        assert heard(surface) == ("/part/4/gain_db", [0.0])


def test_too_many_listeners_are_told_to_come_later(instrument):
    with ExitStack() as stack:
        for _ in range(MOST_LISTENERS):
            surface = stack.enter_context(instrument.socket(""))
            say(surface, "LISTEN", "/part/1/pan")
            assert heard(surface)[0] == "/part/1/pan"
        with pytest.raises(InvalidStatus, match="403"):
            instrument.socket("")

    def is_let_in() -> bool:
        try:
            with instrument.socket("") as surface:
                say(surface, "LISTEN", "/part/1/pan")
                return heard(surface)[0] == "/part/1/pan"
        except InvalidStatus:
            return False

    # Those that have gone are counted out within moments.
    wait_until(is_let_in)


def test_a_page_of_another_site_may_not_listen(instrument):
    with pytest.raises(InvalidStatus, match="403"):
        instrument.socket("", origin="http://example.org")


def test_a_browser_still_gets_the_page(instrument):
    status, said, headers = instrument.get("/", Accept="text/html,*/*;q=0.8")
    assert status == 200 and headers["content-type"].startswith("text/html") and "<html" in said


def test_every_value_in_the_tree_is_taken_by_its_address(instrument):
    """What is read can be sent back."""
    session = instrument.application._session
    desk, root = session.desk, tree(session)
    leaves = [find_node(root, "/part/5")]
    count = 0
    while leaves:
        node = leaves.pop()
        leaves += node.get("CONTENTS", {}).values()
        if "VALUE" in node:
            command, _ = find(node["FULL_PATH"])
            command = command.for_bank(list(desk.book.knobs), desk.reach)
            check_all(command.arguments, node["VALUE"])
            assert len(node["TYPE"]) == len(node["VALUE"]) == len(node["RANGE"])
            count += 1
    assert count > 8
