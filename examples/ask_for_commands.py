"""Ask the server for every address, then for the arguments and range of one."""

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

server = UDPClient("127.0.0.1", 9000)
for arguments in ([], ["/part/1/pan"]):
    server.send(build_msg("/help", arguments))
    reply = OscMessage(server.receive(timeout=5))
    print(*reply.params, sep="\n")
