"""Floor 6: the golden suite: its cases, how an answer is compared with one, and how the stored files are made."""
