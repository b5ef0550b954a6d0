"""Move the brightness knob while a chord sounds: 0 is dark, 0.5 as saved, 1 bright."""

import math
import time

from pythonosc.udp_client import SimpleUDPClient

server = SimpleUDPClient("127.0.0.1", 9000)
server.send_message("/part/1/patch", "string-ensemble")
chord = (48, 55, 60, 64)
for key in chord:
    server.send_message("/part/1/note", [key, 80])
for step in range(200):
    server.send_message("/part/1/knob/brightness", 0.5 - 0.5 * math.cos(step * math.pi / 100))
    time.sleep(0.02)
for key in chord:
    server.send_message("/part/1/note", [key, 0])
server.send_message("/part/1/knob/brightness", 0.5)
