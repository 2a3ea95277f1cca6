"""What mean-field theory predicts for a traced network: signals and gradients."""
