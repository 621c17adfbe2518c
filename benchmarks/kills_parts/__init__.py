"""What `kills.py` stops, how it finds the moment, and how it judges what is left."""
