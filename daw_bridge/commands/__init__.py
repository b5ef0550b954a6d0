"""Every verb that a DAW, a script or a page can say, as data: one table for all of them."""
