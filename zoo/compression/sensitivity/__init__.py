"""How much each layer of a trained network bears, and what that proposes."""
