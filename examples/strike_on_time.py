"""Send notes a second ahead, each with the time at which it shall sound.

A bundle's timetag places a note to the sample, however late or early the packet arrives.
"""

import time

from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

server = UDPClient("127.0.0.1", 9000)
start = time.time() + 1.0
for beat in range(16):
    for moment, velocity in ((0.0, 100 if beat % 4 == 0 else 60), (0.1, 0)):
        bundle = OscBundleBuilder(start + beat * 0.25 + moment)
        bundle.add_content(build_msg("/part/1/note", [76, velocity]))
        server.send(bundle.build())
time.sleep(5.5)
