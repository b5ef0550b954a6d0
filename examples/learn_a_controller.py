"""Let controller 21 of a MIDI keyboard turn the brightness knob, from now on.

Without the number, the next controller that is moved is taken.
"""

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

server = UDPClient("127.0.0.1", 9000)
server.send(build_msg("/midi/learn", ["brightness", 21]))
server.send(build_msg("/midi/map"))
reply = OscMessage(server.receive(timeout=5))
for controller, knob in zip(reply.params[::2], reply.params[1::2], strict=True):
    print(f"controller {controller} turns {knob}")
