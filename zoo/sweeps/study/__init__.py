"""Studies: many training runs in the background, over any number of sittings and computers."""
