"""Sound as a numpy array, without a server: the first second of a chord, as the bank plays it."""

import numpy as np
from mido import Message

from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from synth.instrument import make_instrument

bank = load_bank(DEFAULT_BANK)
instrument = make_instrument(bank)
chord = [TimedMessage(0.1, Message("note_on", note=key, velocity=90)) for key in (60, 64, 67)]
frames = round(bank.analysis.frame_rate)
sound = np.concatenate(list(bounce(instrument, chord, {1: "grand-piano"}, frames)))
print(f"{len(sound)} stereo samples at {bank.analysis.rate} Hz, peak {np.abs(sound).max():.3f}")
