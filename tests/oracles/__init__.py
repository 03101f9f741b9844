"""Naive oracles, one per algorithm: scalar loops written from the definition, importing nothing of refdet."""
