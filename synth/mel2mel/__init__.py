"""The network from piano roll to spectra, whole and step by step."""
