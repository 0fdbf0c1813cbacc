"""Jobs made of several solves."""
