"""Every way to super-resolve a picture behind one call."""
