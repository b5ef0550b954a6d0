"""One page of all results, with pictures and sounds."""
