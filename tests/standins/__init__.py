"""What tests use in place of a machine of one's own: an engine, a registry, and images for them."""
