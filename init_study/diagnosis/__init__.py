"""What is seen of a set-up before it runs, layer by layer."""
