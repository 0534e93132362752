"""What all pages for people have in common: who may see them, the frame around them, how values look."""
