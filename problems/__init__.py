"""The physical problems, each with its FEniCSx reference solver."""
