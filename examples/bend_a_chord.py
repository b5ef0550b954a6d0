"""Bend all keys of a part, in semitones."""

import time

from pythonosc.udp_client import SimpleUDPClient

server = SimpleUDPClient("127.0.0.1", 9000)
server.send_message("/part/1/patch", "church-organ")
chord = (57, 61, 64)
for key in chord:
    server.send_message("/part/1/note", [key, 80])
for step in range(101):
    server.send_message("/part/1/bend", -2.0 + 2.0 * min(step, 50) / 50)
    time.sleep(0.02)
for key in chord:
    server.send_message("/part/1/note", [key, 0])
