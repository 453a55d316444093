"""Commands that only regenerate pages of docs/."""
