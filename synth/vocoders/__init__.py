"""From spectra to samples: two vocoders behind one contract."""
