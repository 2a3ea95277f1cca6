"""Two CPU devices for every test, whatever the machine has: set before JAX starts."""

import jax

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_debug_key_reuse", True)
