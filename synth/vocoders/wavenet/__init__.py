"""The method's own vocoder: samples one by one."""
