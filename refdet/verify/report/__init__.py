"""Reports of a verification: for a terminal, for programs, and as a page with pictures."""
