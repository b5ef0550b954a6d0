"""The vocoder that needs no training: phases from the gradients of magnitudes."""
