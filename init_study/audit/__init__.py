"""What a set-up shows before it runs, layer by layer."""
