"""Implementations that deviate, written without having seen the deviations: each shares no code with refdet."""
