"""The engine: how a population runs on the devices; the only room that names one."""
