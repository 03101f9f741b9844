"""The golden suite: cases that say whether another implementation agrees (format: golden/README.md)."""

# SemVer: patch = a text changed, minor = new cases, major = an expected value changed, with an erratum in CHANGELOG.
SUITE_VERSION = "0.5.0"
