"""How a population runs on the devices at hand; the only room that names a device."""
