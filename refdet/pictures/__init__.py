"""Floor 6: every plot and drawing."""
