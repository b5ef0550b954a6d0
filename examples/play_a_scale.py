"""Play a scale over OSC: a note starts with its velocity, and stops with velocity 0."""

import time

from pythonosc.udp_client import SimpleUDPClient

server = SimpleUDPClient("127.0.0.1", 9000)
server.send_message("/part/1/patch", "vibraphone")
for key in (60, 62, 64, 65, 67, 69, 71, 72):
    server.send_message("/part/1/note", [key, 90])
    time.sleep(0.2)
    server.send_message("/part/1/note", [key, 0])
