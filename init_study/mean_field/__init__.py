"""What mean-field theory predicts for a traced network: signals and gradients.

README.md beside this file says how, and what is left out.
"""
