"""What a forward model is: spaces, values, derivatives, strong forms."""
