"""Commands that regenerate pages of docs/."""
