"""How the server is doing, once a second for five seconds: load, latency, dropouts."""

import time

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import UDPClient

server = UDPClient("127.0.0.1", 9000)
for _ in range(5):
    server.send(build_msg("/status"))
    reply = OscMessage(server.receive(timeout=5)).params
    status = dict(zip(reply[::2], reply[1::2], strict=True))
    load, latency = f"{status['load']:.0%}", f"{status['latency_ms']:.0f} ms"
    print(f"load {load}, latency {latency}, {status['underruns']} dropouts")
    time.sleep(1)
