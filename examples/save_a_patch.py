"""Make a timbre of one's own and keep it: halfway between two patches, a little darker."""

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

NAME = "glass guitar"

server = UDPClient("127.0.0.1", 9000)
server.send(build_msg("/part/1/morph", ["acoustic-guitar", "vibraphone", 0.5]))
server.send(build_msg("/part/1/knob/brightness", [0.4]))
# 1 at the end: replace a patch of that name, if there is one.
server.send(build_msg("/patch/save", [1, NAME, 1]))
reply = OscMessage(server.receive(timeout=5))
print(reply.address, *reply.params)
