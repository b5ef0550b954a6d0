"""Let controller 21 of a MIDI keyboard turn the brightness knob, from now on.

Without the number, the next controller that is moved is taken, and the server sends /midi/learnt
when it has been.
"""

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

server = UDPClient("127.0.0.1", 9000)
server.send(build_msg("/midi/learn", ["brightness", 21]))
knob, controller = OscMessage(server.receive(timeout=5)).params
print(f"controller {controller} turns {knob}")
