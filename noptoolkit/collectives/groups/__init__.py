"""Many operations at once, over the same channels: trees, their amounts, and a certified gap."""
