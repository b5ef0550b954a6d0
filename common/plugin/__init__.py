"""What the LV2 plug-in and the server share (plugin/)."""
