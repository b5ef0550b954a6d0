"""Go from one patch to another and back while notes repeat."""

import time

from pythonosc.udp_client import SimpleUDPClient

server = SimpleUDPClient("127.0.0.1", 9000)
for step in range(33):
    amount = 1 - abs(step - 16) / 16
    server.send_message("/part/1/morph", ["acoustic-guitar", "orchestral-harp", amount])
    server.send_message("/part/1/note", [64, 90])
    time.sleep(0.15)
    server.send_message("/part/1/note", [64, 0])
