"""The most probable unknown and Gaussians around it."""
