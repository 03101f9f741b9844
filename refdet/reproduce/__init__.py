"""The decks' claims, measured again: small experiments on synthetic scenes, frozen before they are run."""
