"""The table holds together, and the documentation that is made from it is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daw_bridge.commands.command import Access
from daw_bridge.commands.reference import markdown
from daw_bridge.commands.table import COMMANDS, GROUPS, find

PAGE = Path(__file__).parents[3] / "docs" / "osc.md"
ADDRESSES = [command.address for command in COMMANDS]


def test_the_page_is_up_to_date():
    made = "python -m daw_bridge.commands > docs/osc.md"
    assert PAGE.read_text() == markdown(GROUPS), f"run: {made}"


@pytest.mark.parametrize("command", COMMANDS, ids=ADDRESSES)
def test_each_command_says_what_it_is(command):
    assert re.findall("<([^>]*)>", command.address) == [a.name for a in command.place]
    assert command.help.endswith(".")
    assert (command.act or command.ask) is not None
    assert (command.ask is not None) <= (Access.READ in command.access)
    optional = [argument.optional for argument in command.arguments]
    assert optional == sorted(optional)  # only the last ones may be left out
    assert not command.alias_of or command.alias_of in ADDRESSES


def test_no_address_means_two_things():
    assert len(set(ADDRESSES)) == len(ADDRESSES)
    for address in ADDRESSES:
        sent = re.sub("<[^>]*>", "7", address)
        assert sum(command.written(sent) is not None for command in COMMANDS) == 1
        assert find(sent)[0].address == find(address)[0].address == address


@pytest.mark.parametrize(
    "address", ["", "/", "part/1/pan", "/part", "/part/1", "/part/1/pan/", "/x"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match="^no such address; /help lists them all$"):
        find(address)
