"""Play the server as a MIDI instrument: each channel is a part, programs choose patches."""

import time

import mido

ports = [name for name in mido.get_output_names() if "melstream" in name]
if not ports:
    raise SystemExit("no MIDI port called melstream: is the server running?")
with mido.open_output(ports[0]) as port:
    port.send(mido.Message("program_change", program=56))
    for key in (67, 72, 76, 79):
        port.send(mido.Message("note_on", note=key, velocity=90))
        time.sleep(0.3)
        port.send(mido.Message("note_off", note=key))
