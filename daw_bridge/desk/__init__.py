"""The knobs of sixteen parts, and who turns them."""
