"""Floor 4: features of whole images."""
